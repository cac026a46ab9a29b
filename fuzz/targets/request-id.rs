#![no_main]
//! An id, and which tag it gets (the first byte of the input).

use fuzz::tracks;
use libfuzzer_sys::fuzz_target;
use release_track::carrier::request_id::{Tag, Uuid};
use release_track::config::Config;
use release_track::track::Carried;
use siphasher::sip::SipHasher24;

/// The first writes, both read.
const KEYS: [&str; 2] = ["000102030405060708090a0b0c0d0e0f", "ffffffffffffffffffffffffffffffff"];
const WRITES: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const TRACKS: [&str; 2] = ["v2", "v3"];

thread_local! {
    static NEW: Config = tracks(&TRACKS, &KEYS);
    /// It reads with the first key only, and does not know the second track.
    static OLD: Config = tracks(&TRACKS[..1], &KEYS[..1]);
}

fuzz_target!(|input: &[u8]| NEW.with(|new| OLD.with(|old| check(new, old, input))));

fn check(new: &Config, old: &Config, input: &[u8]) {
    let Some((choice, text)) = input.split_first() else { return };
    if let Some(revived) = new.propagation.tagger.revive(text) {
        assert!(is_uuid(&revived));
    }
    let parsed = Uuid::parse(text);
    assert_eq!(parsed.is_some(), is_uuid(text));
    let Some(id) = parsed else { return };
    let tagger = &new.propagation.tagger;

    let tracks: Vec<_> = new.names.iter().map(|(track, _)| track).collect();
    let (tag, says, name) = match usize::from(*choice) % 3 {
        2 => (Tag::Baseline, Carried::Baseline, "baseline"),
        n => (Tag::Track(tracks[n]), Carried::Track(tracks[n]), TRACKS[n]),
    };
    let written = tagger.inject(id, tag);
    // None: it has the tag already, in whatever case.
    let tagged = written.map_or_else(|| text.to_vec(), Into::into);
    assert_eq!(&tagged[..24], &text[..24]);
    assert_eq!(tagged[24..].to_ascii_lowercase(), last_group(text, name).into_bytes());
    if written.is_some() {
        assert_eq!(tagged[24..], tagged[24..].to_ascii_lowercase());
    }

    let read = |id: &[u8]| tagger.extract(Uuid::parse(id).expect("it is one still"));
    assert_eq!(read(&tagged), Some(says));
    assert_eq!(read(&tagged.to_ascii_uppercase()), Some(says));
    for reason in *b"049aF" {
        let mut other = tagged.clone();
        other[14] = reason;
        assert_eq!(read(&other), Some(says));
    }
    let other = Uuid::parse(&tagged).and_then(|id| old.propagation.tagger.extract(id));
    let known = name != TRACKS[1];
    assert_eq!(other, Some(if known { says } else { Carried::Other }));

    // What an edge must not let pass, whoever tagged it.
    for id in [&*tagged, text] {
        if read(id).is_some() {
            let spoilt = tagger.spoil(Uuid::parse(id).expect("it is one"));
            assert_eq!(read(&spoilt), None);
            assert_eq!((&spoilt[..24], &spoilt[25..]), (&id[..24], &id[25..]));
            // Nor in other clothes.
            let bare: Vec<u8> = id.iter().copied().filter(|b| *b != b'-').collect();
            for other in [[b"{", id, b"}"].concat(), bare.clone(), [b"urn:uuid:", id].concat()] {
                // In whatever case: a tag reads in any.
                let revived = tagger.revive(&other).map(|id| id.to_ascii_lowercase());
                assert_eq!(revived, Some(id.to_ascii_lowercase()));
            }
        }
    }
}

fn is_uuid(text: &[u8]) -> bool {
    let groups: Vec<_> = text.split(|b| *b == b'-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.concat().iter().all(u8::is_ascii_hexdigit)
}

/// As the design has it.
fn last_group(id: &[u8], track: &str) -> String {
    let mut message = id[..24].to_ascii_lowercase();
    message[14] = b'0';
    let hash = |text: &[u8]| SipHasher24::new_with_key(&WRITES).hash(text);
    let m = hash(&message);
    let code = hash(format!("track:{track}").as_bytes()) & 0xffff;
    format!("{:08x}{:04x}", m >> 32, (m & 0xffff) ^ code)
}
