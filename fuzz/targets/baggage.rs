#![no_main]
//! Baggage lines, one a line of the input: what is others' stays, what is ours is right.

use fuzz::baggage::{could_be_ours, members, ours};
use fuzz::{edited, map, tracks};
use libfuzzer_sys::fuzz_target;
use release_track::carrier::Edit;
use release_track::carrier::baggage::{self, Reading};
use release_track::config::Config;
use release_track::track::Names;

/// W3C Baggage, section 3.3.2.
const MAX_MEMBERS: usize = 64;
const MAX_BYTES: usize = 8192;

thread_local! {
    static CONFIG: Config = tracks(&["v2", "v3"], &["000102030405060708090a0b0c0d0e0f"]);
}

fuzz_target!(|input: &[u8]| CONFIG.with(|config| check(&config.names, input)));

fn check(names: &Names, input: &[u8]) {
    let lines: Vec<Vec<u8>> = input.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    let headers = map("baggage", &lines);
    let said: Vec<_> = members(&lines).iter().filter_map(|member| ours(member)).collect();
    let last = said.last().and_then(|value| names.read(value));
    assert_eq!(baggage::extract(&headers, names), last);

    let injected = baggage::inject(&headers, "v2", Reading::Strict);
    let after = edited(&lines, &injected.edit);
    same_others(&lines, &after);
    let now: Vec<_> = members(&after).iter().filter_map(|member| ours(member)).collect();
    if injected.full {
        assert!(now.is_empty(), "the wrong one stays: {now:?}");
        let room = members(&after).iter().filter(|m| !m.trim_ascii().is_empty()).count();
        let bytes = after.concat().len() + after.len() + "release-track=v2".len();
        assert!(room + 1 > MAX_MEMBERS || bytes > MAX_BYTES, "{room} members, {bytes} bytes");
    } else {
        assert_eq!(now, [b"v2"]);
        assert_eq!(
            baggage::inject(&map("baggage", &after), "v2", Reading::Strict).edit,
            Edit::Keep
        );
        if let Edit::Set(list) = &injected.edit {
            let members = list.split(|b| *b == b',').filter(|m| !m.trim_ascii().is_empty()).count();
            assert!(list.len() <= MAX_BYTES && members <= MAX_MEMBERS);
        }
    }

    let edit = baggage::remove(&headers, Reading::Strict);
    let after = edited(&lines, &edit);
    same_others(&lines, &after);
    assert!(members(&after).iter().all(|member| ours(member).is_none()));
    assert_eq!(edit == Edit::Keep, said.is_empty());

    // What a client sends.
    let left = |edit: &Edit| -> Vec<Vec<u8>> {
        let mut left = members(&edited(&lines, edit));
        left.retain(|member| !member.trim_ascii().is_empty());
        left
    };
    let mut others = left(&Edit::Keep);
    others.retain(|member| !could_be_ours(member));
    assert_eq!(left(&baggage::remove(&headers, Reading::Any)), others);
    let mut now = left(&baggage::inject(&headers, "v2", Reading::Any).edit);
    now.retain(|member| could_be_ours(member));
    assert!(now.is_empty() || now.len() == 1 && now[0].trim_ascii() == b"release-track=v2");
}

/// Byte for byte and in their order. What is empty is no member.
fn same_others(before: &[Vec<u8>], after: &[Vec<u8>]) {
    let others = |lines: &[Vec<u8>]| -> Vec<Vec<u8>> {
        let mut others = members(lines);
        others.retain(|member| ours(member).is_none() && !member.trim_ascii().is_empty());
        others
    };
    assert_eq!(others(before), others(after));
}
