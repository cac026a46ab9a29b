#![no_main]
//! A Cookie line, read a second time: byte by byte, from the design's words alone.

use libfuzzer_sys::fuzz_target;
use release_track::syntax::cookie;

type Pair = (Vec<u8>, Vec<u8>);

fuzz_target!(|line: &[u8]| {
    let pairs: Vec<Pair> = cookie::pairs(line).map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
    assert_eq!(pairs, read(line));
    // A line is the sum of its parts, wherever it is cut at a semicolon.
    for (at, _) in line.iter().enumerate().filter(|(_, byte)| **byte == b';').take(8) {
        assert_eq!(pairs, [read(&line[..at]), read(&line[at + 1..])].concat());
    }
});

fn read(line: &[u8]) -> Vec<Pair> {
    let mut pairs = Vec::new();
    let mut name = Vec::new();
    let mut value: Option<Vec<u8>> = None;
    for byte in line.iter().chain(b";") {
        match (byte, &mut value) {
            (b';', value) => {
                let name = trimmed(&std::mem::take(&mut name));
                if let Some(value) = value.take().filter(|_| !name.is_empty()) {
                    pairs.push((name, unquoted(trimmed(&value))));
                }
            }
            (b'=', None) => value = Some(Vec::new()),
            (byte, None) => name.push(*byte),
            (byte, Some(value)) => value.push(*byte),
        }
    }
    pairs
}

fn trimmed(bytes: &[u8]) -> Vec<u8> {
    let solid = |byte: &u8| *byte != b' ' && *byte != b'\t';
    let Some(first) = bytes.iter().position(solid) else { return Vec::new() };
    let last = bytes.iter().rposition(solid).expect("there is a first");
    bytes[first..=last].to_vec()
}

fn unquoted(value: Vec<u8>) -> Vec<u8> {
    let quoted = value.len() > 1 && value.starts_with(b"\"") && value.ends_with(b"\"");
    if quoted { value[1..value.len() - 1].to_vec() } else { value }
}
