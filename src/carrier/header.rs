//! Carrier 1: the header itself.

use super::Edit;
use super::view::Lines;
use crate::track::{Carried, Names};

/// What the header says. Lines that differ say nothing, as do an empty and a malformed value.
pub fn extract(lines: Lines<'_>, names: &Names) -> Option<Carried> {
    names.read(lines.agreed()?)
}

/// Makes the header say `track`, in one line.
pub fn inject(lines: Lines<'_>, track: &str) -> Edit {
    match lines {
        Lines::One(value) if value == track.as_bytes() => Edit::Keep,
        _ => Edit::Set(track.as_bytes().to_vec()),
    }
}

/// Makes the header say nothing.
pub fn remove(lines: Lines<'_>) -> Edit {
    match lines {
        Lines::None => Edit::Keep,
        _ => Edit::Remove,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::{Name, TrackId};

    #[test]
    fn equal_lines_are_one_and_different_ones_none() {
        let names = Names::new(vec![Name::parse("v2").unwrap()]);
        let many = |equal| Lines::Many { first: b"v2", equal };
        assert_eq!(extract(Lines::None, &names), None);
        assert_eq!(extract(Lines::One(b"v2"), &names), Some(Carried::Track(TrackId(0))));
        assert_eq!(extract(many(true), &names), Some(Carried::Track(TrackId(0))));
        assert_eq!(extract(many(false), &names), None);
        assert_eq!(extract(Lines::One(b""), &names), None);
        assert_eq!(extract(Lines::One(b"v2,v2"), &names), None);
    }

    #[test]
    fn only_one_right_line_is_kept() {
        assert_eq!(inject(Lines::One(b"v2"), "v2"), Edit::Keep);
        for lines in [Lines::None, Lines::One(b"v3"), Lines::Many { first: b"v2", equal: true }] {
            assert_eq!(inject(lines, "v2"), Edit::Set(b"v2".to_vec()));
        }
        assert_eq!(remove(Lines::None), Edit::Keep);
        assert_eq!(remove(Lines::One(b"")), Edit::Remove);
    }
}
