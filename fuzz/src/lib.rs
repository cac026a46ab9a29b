//! What the targets share.

mod faulty;

pub use faulty::Faulty;
use release_track::carrier::Edit;
use release_track::config::Config;
use release_track::host::header_map::HeaderMap;

/// A configuration with these tracks, `keys` of tags first to last.
pub fn tracks(names: &[&str], keys: &[&str]) -> Config {
    let tracks: Vec<_> = names.iter().map(|name| serde_json::json!({"name": name})).collect();
    let config = serde_json::json!({"tracks": tracks, "propagation": {"keys": keys}});
    Config::parse(config.to_string().as_bytes()).expect("it is valid")
}

/// The lines of one header after an edit.
pub fn edited(lines: &[Vec<u8>], edit: &Edit) -> Vec<Vec<u8>> {
    match edit {
        Edit::Keep => lines.to_vec(),
        Edit::Set(value) => vec![value.clone()],
        Edit::Remove => Vec::new(),
    }
}

/// A header map of these lines of one header.
pub fn map(name: &str, lines: &[Vec<u8>]) -> HeaderMap<'static> {
    let pairs: Vec<_> = lines.iter().map(|line| (name, line)).collect();
    pairs.iter().collect()
}

/// A baggage member in parts, as the design reads one; slower than the filter does it, and
/// written without a look at it.
pub mod baggage {
    /// The members of all lines, empty ones among them; of an empty line there is none.
    pub fn members(lines: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let whole = lines.iter().filter(|line| !line.iter().all(u8::is_ascii_whitespace));
        let mut members = Vec::new();
        for line in whole {
            let mut member = Vec::new();
            for byte in line {
                if *byte == b',' {
                    members.push(std::mem::take(&mut member));
                } else {
                    member.push(*byte);
                }
            }
            members.push(member);
        }
        members
    }

    /// The decoded value of a member that is ours.
    pub fn ours(member: &[u8]) -> Option<Vec<u8>> {
        let end = member.iter().position(|b| *b == b';').unwrap_or(member.len());
        let equals = member[..end].iter().position(|b| *b == b'=')?;
        let (key, value) = (member[..equals].trim_ascii(), member[equals + 1..end].trim_ascii());
        let token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
        // W3C Baggage: %x21 / %x23-2B / %x2D-3A / %x3C-5B / %x5D-7E
        let octet =
            |b: &u8| matches!(b, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e);
        let well_formed = key.iter().all(token) && value.iter().all(octet);
        (well_formed && decode(key) == b"release-track").then(|| decode(value))
    }

    /// Whether some reader may take a member for ours: who decodes and drops as long as that
    /// changes anything. One step after another, over and over.
    pub fn could_be_ours(member: &[u8]) -> bool {
        let mut text = member.to_ascii_lowercase();
        loop {
            let mut next = decode(&text).to_ascii_lowercase();
            next.retain(|b| b.is_ascii_alphanumeric() || b"%,;=".contains(b));
            if next == text {
                break;
            }
            text = next;
        }
        text.retain(|b| *b != b'%');
        text.split(|b| b",;".contains(b)).any(|part| {
            let names: Vec<_> = part.split(|b| *b == b'=').collect();
            let last = names.len() - 1;
            names
                .iter()
                .enumerate()
                .any(|(i, name)| *name == b"releasetrack" && (i < last || i == 0))
        })
    }

    fn decode(text: &[u8]) -> Vec<u8> {
        let mut decoded = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let digits = text.get(at + 1..at + 3).filter(|d| d.iter().all(u8::is_ascii_hexdigit));
            match (text[at], digits) {
                (b'%', Some(digits)) => {
                    let digits = std::str::from_utf8(digits).expect("hex digits");
                    decoded.push(u8::from_str_radix(digits, 16).expect("hex digits"));
                    at += 3;
                }
                (byte, _) => {
                    decoded.push(byte);
                    at += 1;
                }
            }
        }
        decoded
    }
}
