//! What `make architecture` prints.

use crate::map::{Circle, Map};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// One crate's figures. Of each of `names` it says at how many places it is asked.
#[must_use]
pub fn figures(map: &Map, names: &[String]) -> String {
    let mut text = String::new();
    let mut line = |what: &str, value: String| {
        let _ = writeln!(text, "  {what:<18} {value}");
    };
    let mut folders: BTreeMap<&Path, usize> = BTreeMap::new();
    for file in &map.files {
        *folders.entry(file.path.parent().unwrap_or(Path::new(""))).or_default() += 1;
    }
    let folders: Vec<_> = folders
        .iter()
        .map(|(folder, files)| format!("{} {files}", Path::new("src").join(folder).display()))
        .map(|text| text.replace("/ ", " "))
        .collect();
    line("files", format!("{}: {}", map.files.len(), folders.join(", ")));
    let sum = |count: fn(&crate::map::Counts) -> usize| -> usize {
        map.files.iter().map(|file| count(&file.counts)).sum()
    };
    let (code, comments) = (sum(|counts| counts.code), sum(|counts| counts.comments));
    line("lines", format!("{code} of code, {comments} of comments (no tests, no blank lines)"));
    let shape = |arrows: usize, circles: usize, layers: usize| {
        format!("{}, {}, {}", many(arrows, "arrow"), many(circles, "circle"), many(layers, "layer"))
    };
    let modules = shape(map.imports().count(), map.circles().len(), map.layers());
    line("modules", format!("{}, {modules}", map.files.len()));
    let rooms = shape(map.doors().count(), map.room_circles().len(), map.room_layers());
    line("rooms", format!("{}, {rooms}", map.rooms.len()));
    for name in names {
        let asked = |file: &crate::map::File| file.counts.asked.get(name).copied().unwrap_or(0);
        let places: usize = map.files.iter().map(asked).sum();
        line(name, format!("asked at {}", many(places, "place")));
    }
    text
}

/// All crates in one table.
#[must_use]
pub fn table(crates: &[(String, Map)]) -> String {
    let mut text = String::new();
    let mut row = |cells: [String; 8]| {
        let [name, cells @ ..] = cells;
        let _ = write!(text, "{name:<22}");
        for cell in cells {
            let _ = write!(text, "{cell:>10}");
        }
        text.push('\n');
    };
    row(["crate", "code", "modules", "arrows", "circles", "layers", "rooms", "circles"]
        .map(str::to_owned));
    for (name, map) in crates {
        let code: usize = map.files.iter().map(|file| file.counts.code).sum();
        let numbers = [
            code,
            map.files.len(),
            map.imports().count(),
            map.circles().len(),
            map.layers(),
            map.rooms.len(),
            map.room_circles().len(),
        ];
        let [a, b, c, d, e, f, g] = numbers.map(|number| number.to_string());
        row([name.clone(), a, b, c, d, e, f, g]);
    }
    text
}

/// The circles of a crate, each with the lines that make it. Empty if there is none.
#[must_use]
pub fn circles(map: &Map) -> String {
    let mut text = String::new();
    let mut tell = |what: &str, Circle { way, places }: Circle| {
        let _ = writeln!(text, "a circle of {what}: {} ({})", way.join(" -> "), places.join(", "));
    };
    map.circles().into_iter().for_each(|circle| tell("modules", circle));
    map.room_circles().into_iter().for_each(|circle| tell("rooms", circle));
    text
}

fn many(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
