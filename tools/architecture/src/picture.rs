//! The rooms of a crate as SVG.

use crate::layout::{self, Size};
use crate::map::{Map, Room};
use std::collections::BTreeMap;
use std::fmt::Write;

const WIDTH: f64 = 1000.0;
const MARGIN: f64 = 24.0;
/// The advance of a character, as the fonts that browsers take for these families have it.
const TITLE: f64 = 8.2;
const FILE: f64 = 7.3;
const LINE: f64 = 18.0;

/// Draws the rooms with their files, 1000 pixels wide. An arrow leads from a room to one that it
/// imports from, always down; an arrow that a way of several arrows says as well is not drawn.
/// Arrows that close a circle are red, and lead up.
#[must_use]
pub fn picture(map: &Map, name: &str) -> String {
    let (down, back) = map.doors.untied();
    let reduced = down.reduced();
    // A root that only declares modules says nothing.
    let says = |room: usize| {
        !map.rooms[room].is_root || map.doors().any(|(from, to)| room == from || room == to)
    };
    let shown: Vec<usize> = (0..map.rooms.len()).filter(|room| says(*room)).collect();
    let at = |room: usize| shown.iter().position(|shown| *shown == room);
    let arrows: Vec<_> =
        reduced.arrows().filter_map(|(from, to)| Some((at(from)?, at(to)?))).collect();
    let boxes: Vec<_> = shown.iter().map(|room| Box::new(map, &map.rooms[*room])).collect();
    let sizes: Vec<_> = boxes.iter().map(|room| room.size).collect();
    let layout = layout::layout(&sizes, &arrows, MARGIN..=WIDTH - MARGIN, MARGIN);

    let mut svg = String::new();
    let doors = map.doors().count();
    let height = layout.height + 64.0;
    let _ = write!(
        svg,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif" font-size="14" fill="#172033" role="img" aria-labelledby="t d">
  <title id="t">What imports what in {name}</title>
  <desc id="d">{}</desc>
  <style>
    .room {{ fill: #fff; stroke: #64748b; stroke-width: 1.5 }}
    .folder {{ fill: #eef3fb; stroke-width: 2 }}
    .name {{ font-weight: 700; text-anchor: middle }}
    .file {{ font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: 12px; text-anchor: middle; fill: #334155 }}
    .line {{ fill: none; stroke: #475569; stroke-width: 1.6 }}
    .back {{ fill: none; stroke: #c81e1e; stroke-width: 2.5 }}
    .small {{ font-size: 12.5px; fill: #526079; text-anchor: middle }}
  </style>
  <defs>
    <marker id="a" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 10 5 0 10z" fill="#475569"/></marker>
    <marker id="b" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="12" markerHeight="12" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 10 5 0 10z" fill="#c81e1e"/></marker>
  </defs>
  <rect width="{WIDTH}" height="{height}" rx="14" fill="#fff"/>
"##,
        described(map),
    );
    for line in &layout.lines {
        let (from, to, leaves) = (line.from, line.to, line.leaves);
        let middle = (leaves + to.y) / 2.0;
        let head = if line.arrives { r#" marker-end="url(#a)""# } else { "" };
        let _ = writeln!(
            svg,
            r#"  <path class="line" d="M{:.1} {:.1}V{leaves:.1}C{:.1} {middle:.1} {:.1} {middle:.1} {:.1} {:.1}"{head}/>"#,
            from.x, from.y, from.x, to.x, to.x, to.y
        );
    }
    for (room, top) in boxes.iter().zip(&layout.boxes) {
        room.draw(&mut svg, top.x, top.y);
    }
    for (from, to) in &back {
        let (Some(from), Some(to)) = (at(*from), at(*to)) else { continue };
        let (start, end) = (layout.boxes[from], layout.boxes[to]);
        let side = sizes[from].width / 2.0;
        let (x, y) = (end.x + sizes[to].width / 2.0, end.y + sizes[to].height / 2.0);
        let (from_x, from_y) = (start.x + side, start.y + sizes[from].height / 2.0);
        let out = x.max(from_x) + 40.0;
        let _ = writeln!(
            svg,
            r#"  <path class="back" d="M{from_x:.1} {from_y:.1}C{out:.1} {from_y:.1} {out:.1} {y:.1} {x:.1} {y:.1}" marker-end="url(#b)"/>"#
        );
    }
    let drawn = arrows.len() + back.len();
    let _ = writeln!(
        svg,
        r#"  <text class="small" x="{:.1}" y="{:.1}">An arrow leads to what a room imports from. {drawn} of {doors} are drawn: the others lead to where these lead over several rooms.</text>
</svg>"#,
        WIDTH / 2.0,
        layout.height + 40.0,
    );
    svg
}

/// All arrows in words, for who cannot see them.
fn described(map: &Map) -> String {
    let name = |room: usize| map.rooms[room].name.as_str();
    let rooms = (0..map.rooms.len()).filter_map(|room| {
        let imports: Vec<_> =
            map.doors().filter(|(from, _)| *from == room).map(|(_, to)| name(to)).collect();
        (!imports.is_empty())
            .then(|| format!("{} imports from {}.", name(room), imports.join(", ")))
    });
    rooms.collect::<Vec<_>>().join(" ")
}

/// A room: its name, and the names of its files in lines.
struct Box {
    name: String,
    files: Vec<String>,
    is_folder: bool,
    size: Size,
}

impl Box {
    fn new(map: &Map, room: &Room) -> Self {
        // By folder of the room; in each the one that the others stand below comes first.
        let mut folders: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for file in &room.files {
            let path = map.files[*file].path.with_extension("");
            let Ok(below) = path.strip_prefix(&room.name) else { continue };
            let Some(name) = below.file_name() else { continue };
            let folder = below.parent().unwrap_or(below).display().to_string();
            let names = folders.entry(folder).or_default();
            let first = if name == "mod" { 0 } else { names.len() };
            names.insert(first, name.display().to_string());
        }
        let is_folder = !folders.is_empty();
        // About as many in a line as make a box three times as wide as high.
        let letters: usize = folders.values().flatten().map(|name| name.len() + 2).sum();
        let wide = (letters as f64 * LINE / FILE * 3.0).sqrt() as usize;
        let mut files: Vec<String> = Vec::new();
        for (folder, names) in folders {
            let mut line = if folder.is_empty() { folder } else { format!("{folder}/") };
            for name in names {
                if !line.is_empty() && line.len() + 2 + name.len() > wide.max(16) {
                    files.push(std::mem::take(&mut line));
                }
                if !line.is_empty() {
                    line.push_str("  ");
                }
                line.push_str(&name);
            }
            files.push(line);
        }
        let widest = files.iter().map(String::len).max().unwrap_or(0) as f64 * FILE;
        let width = widest.max(room.name.len() as f64 * TITLE).ceil() + 28.0;
        let height = 34.0 + files.len() as f64 * LINE + if is_folder { 6.0 } else { 0.0 };
        Self { name: room.name.clone(), files, is_folder, size: Size { width, height } }
    }

    fn draw(&self, svg: &mut String, x: f64, y: f64) {
        let Size { width, height } = self.size;
        let class = if self.is_folder { "room folder" } else { "room" };
        let _ = writeln!(
            svg,
            r#"  <rect class="{class}" x="{:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="9"/>
  <text class="name" x="{x:.1}" y="{:.1}">{}</text>"#,
            x - width / 2.0,
            y + 22.0,
            self.name
        );
        for (line, files) in (1..).zip(&self.files) {
            let below = y + 23.0 + f64::from(line) * LINE;
            let _ = writeln!(
                svg,
                r#"  <text class="file" x="{x:.1}" y="{below:.1}" xml:space="preserve">{files}</text>"#
            );
        }
    }
}
