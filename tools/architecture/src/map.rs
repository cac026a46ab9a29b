//! A crate's files and rooms, and the arrows between them.

use crate::graph::Graph;
pub use crate::tokens::Counts;
use crate::{imports, source, tokens};
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One crate, as its sources say it.
pub struct Map {
    /// In the order of their names.
    pub files: Vec<File>,
    /// In the order of their names.
    pub rooms: Vec<Room>,
    pub(crate) imports: Graph,
    pub(crate) doors: Graph,
    /// The first line that says so, by arrow between files.
    lines: BTreeMap<(usize, usize), usize>,
}

/// One file, which is one module.
pub struct File {
    /// Below the folder of the crate's root: `carrier/mod.rs`.
    pub path: PathBuf,
    pub counts: Counts,
    /// The index of its room.
    pub room: usize,
}

impl File {
    /// As modules are told in prose: `carrier/header`, and `carrier` for `carrier/mod.rs`.
    #[must_use]
    pub fn name(&self) -> String {
        let name = self.path.with_extension("");
        let name = if name.ends_with("mod") { name.parent().unwrap_or(&name) } else { &name };
        name.display().to_string()
    }
}

/// A folder of the crate's sources, or a file beside those folders.
pub struct Room {
    pub name: String,
    /// Indices.
    pub files: Vec<usize>,
    /// Whether it is a crate's root: `lib.rs`, `main.rs`.
    pub is_root: bool,
}

/// Files, or rooms, that import each other.
#[derive(Debug, PartialEq, Eq)]
pub struct Circle {
    /// The shortest way round, which ends where it began.
    pub way: Vec<String>,
    /// Where each step is written: `src/request.rs:7`. Empty for rooms.
    pub places: Vec<String>,
}

impl Map {
    /// Reads a package by its roots: its library first, if it has one, and its programs. `library`
    /// is the name by which the programs call the library.
    ///
    /// # Errors
    /// No root, a file that cannot be read or is not valid Rust, or a `mod` without a file.
    pub fn read(roots: &[PathBuf], library: Option<&str>) -> Result<Self> {
        if roots.is_empty() {
            bail!("neither a library nor a program");
        }
        let mut sources = source::read(roots)?;
        sources.sort_by(|a, b| a.file.cmp(&b.file));
        let imports = imports::read(&sources, library);

        let mut by_name: BTreeMap<String, Room> = BTreeMap::new();
        for (index, source) in sources.iter().enumerate() {
            let name = room(&source.file);
            let is_root = source.module.names.is_empty();
            let room = Room { name: name.clone(), files: Vec::new(), is_root };
            let room = by_name.entry(name).or_insert(room);
            room.files.push(index);
        }
        let rooms: Vec<_> = by_name.into_values().collect();
        let room_of = |file| rooms.iter().position(|room| room.files.contains(&file)).unwrap_or(0);
        let files: Vec<_> = (0..)
            .zip(sources)
            .zip(imports.tests)
            .map(|((index, source), tests)| File {
                counts: tokens::count(&source.text, &tests),
                path: source.file,
                room: room_of(index),
            })
            .collect();
        let doors = imports.arrows.keys().map(|(from, to)| (files[*from].room, files[*to].room));
        let doors = Graph::new(rooms.len(), doors.filter(|(from, to)| from != to));
        Ok(Self {
            imports: Graph::new(files.len(), imports.arrows.keys().copied()),
            doors,
            lines: imports.arrows,
            files,
            rooms,
        })
    }

    /// Arrows between files, as pairs of indices.
    pub fn imports(&self) -> impl Iterator<Item = (usize, usize)> {
        self.imports.arrows()
    }

    /// Arrows between rooms, as pairs of indices.
    pub fn doors(&self) -> impl Iterator<Item = (usize, usize)> {
        self.doors.arrows()
    }

    /// How many layers the files have, where each file imports from lower ones only.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.imports.layers()
    }

    /// The same of the rooms.
    #[must_use]
    pub fn room_layers(&self) -> usize {
        self.doors.layers()
    }

    /// Files that import each other.
    #[must_use]
    pub fn circles(&self) -> Vec<Circle> {
        let told = |way: Vec<usize>| Circle {
            places: way.windows(2).map(|step| self.place(step[0], step[1])).collect(),
            way: way.iter().map(|file| self.files[*file].name()).collect(),
        };
        self.imports.circles().into_iter().map(told).collect()
    }

    /// Rooms that import each other, as they may without any circle of files.
    #[must_use]
    pub fn room_circles(&self) -> Vec<Circle> {
        let told = |way: Vec<usize>| Circle {
            way: way.iter().map(|room| self.rooms[*room].name.clone()).collect(),
            places: way.windows(2).flat_map(|step| self.crossing(step[0], step[1])).collect(),
        };
        self.doors.circles().into_iter().map(told).collect()
    }

    /// Where one room first imports from another.
    fn crossing(&self, from: usize, to: usize) -> Option<String> {
        let room = |file: usize| self.files[file].room;
        let (from, to) = self.imports().find(|(a, b)| (room(*a), room(*b)) == (from, to))?;
        Some(self.place(from, to))
    }

    fn place(&self, from: usize, to: usize) -> String {
        let line = self.lines.get(&(from, to)).copied().unwrap_or_default();
        format!("{}:{line}", self.files[from].path.display())
    }
}

/// A file's room: the first folder of its path, or its own name.
fn room(file: &Path) -> String {
    let first = file.components().next().map(|first| PathBuf::from(first.as_os_str()));
    first.unwrap_or_default().with_extension("").display().to_string()
}
