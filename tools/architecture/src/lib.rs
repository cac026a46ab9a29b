//! What imports what in a crate, as its sources say it.
//!
//! ```text
//! workspace   the packages, by cargo
//! source      a crate's files, followed from its roots by `mod`, without what only tests have
//!   imports     the paths in them, each resolved to the file that it leads to
//!   tokens      lines of code and of comments, and how often a name is asked
//! map         files and rooms, and the arrows between them
//!   graph       circles, layers, and the arrows that say all the others
//! figures     what `make architecture` prints
//! picture     the rooms as SVG
//!   layout      where each box and each line stands
//! ```
//!
//! A *room* is a folder of a crate's `src/`, or a file beside those folders. An *arrow* leads from
//! the file that names an item to the file that defines it; a `pub use` on the way is followed.

pub mod figures;
mod graph;
mod imports;
mod layout;
pub mod map;
pub mod picture;
mod source;
mod tokens;
pub mod workspace;
