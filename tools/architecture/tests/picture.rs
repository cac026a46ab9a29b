//! The picture in docs/architecture.md is the filter's; `UPDATE_DOCS=1 cargo test --package
//! architecture`, or `make architecture`, draws it anew.

use architecture::map::Map;
use architecture::{figures, picture, workspace};
use std::path::Path;
use std::{env, fs};

fn filter() -> (String, Map) {
    let package = workspace::packages().unwrap().into_iter().find(|p| p.folder.is_empty()).unwrap();
    (package.name.clone(), package.map().unwrap())
}

#[test]
fn the_picture_is_that_of_the_code() {
    let (name, map) = filter();
    let drawn = picture::picture(&map, &name);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/images/architecture.svg");
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(file, drawn).unwrap();
    } else {
        assert!(fs::read_to_string(file).unwrap() == drawn, "it is behind: make architecture");
    }
}

#[test]
fn there_is_no_circle_in_the_filter() {
    assert_eq!(figures::circles(&filter().1), "");
}
