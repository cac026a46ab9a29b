//! What is read from a crate that has each form of import: `tests/crate`, which is not compiled.

use architecture::figures;
use architecture::map::{Counts, Map};
use std::path::Path;

fn map() -> Map {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crate/lib.rs");
    Map::read(&[root], None).unwrap()
}

fn counts(name: &str) -> Counts {
    let map = map();
    map.files.iter().find(|file| file.name() == name).unwrap().counts.clone()
}

#[test]
fn each_form_of_import_is_an_arrow() {
    let map = map();
    let name = |file: usize| map.files[file].name();
    let arrows: Vec<_> =
        map.imports().map(|(from, to)| format!("{} -> {}", name(from), name(to))).collect();
    assert_eq!(
        arrows,
        [
            "by_use -> room/below", // use crate::a::{b::C}
            "by_use -> room",       // use crate::a::{self}
            "by_use -> target",     // in an attribute's string
            "circle -> inline",     // a path without `use`, into a nested module
            "elsewhere -> room",    // by super, through a `pub use .. as ..`, from a moved file
            "inline -> circle",     // from a nested module
            "lib -> room",          // pub use a::B
            "room/below -> room",   // by super
            "room -> room/below",   // pub use of a child, which is in scope
            "room -> target",       // in a macro
            "target -> room/below", // through that `pub use`
        ]
    );
}

#[test]
fn rooms_are_folders_and_the_files_beside_them() {
    let map = map();
    let rooms: Vec<_> = map.rooms.iter().map(|room| room.name.as_str()).collect();
    assert_eq!(rooms, ["by_use", "circle", "elsewhere", "inline", "lib", "room", "target"]);
    let doors: Vec<_> = map
        .doors()
        .map(|(from, to)| format!("{} -> {}", map.rooms[from].name, map.rooms[to].name))
        .collect();
    assert_eq!(
        doors,
        [
            "by_use -> room",
            "by_use -> target",
            "circle -> inline",
            "elsewhere -> room",
            "inline -> circle",
            "lib -> room",
            "room -> target",
            "target -> room",
        ]
    );
}

#[test]
fn circles_are_named_with_the_lines_that_make_them() {
    assert_eq!(
        figures::circles(&map()),
        "a circle of modules: circle -> inline -> circle (circle.rs:2, inline.rs:3)\n\
         a circle of modules: room/below -> room -> room/below (room/below.rs:5, room/mod.rs:3)\n\
         a circle of rooms: circle -> inline -> circle (circle.rs:2, inline.rs:3)\n\
         a circle of rooms: room -> target -> room (room/mod.rs:10, target.rs:1)\n"
    );
}

#[test]
fn a_circle_is_one_layer() {
    // by_use above room, room/below and target, which import each other in both pictures.
    assert_eq!((map().layers(), map().room_layers()), (2, 2));
}

#[test]
fn lines_are_counted_without_tests_and_blank_ones() {
    let Counts { code, comments, .. } = counts("by_use");
    assert_eq!((code, comments), (13, 1));
    // A string over several lines is code, a blank line in it too.
    let Counts { code, comments, .. } = counts("elsewhere");
    assert_eq!((code, comments), (5, 2));
}

#[test]
fn a_name_is_asked_where_it_is_read() {
    assert_eq!(counts("by_use").asked["dry"], 3);
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crate/only_in_tests.rs");
    let error = Map::read(&[root], None).err().unwrap();
    assert!(format!("{error:#}").contains("only_in_tests.rs"), "{error:#}");
}
