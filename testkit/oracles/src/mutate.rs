//! Requests whose carriers are ours in disguise, each a little different.

use crate::Lines;
use fastrand::Rng;

const KEY: &str = "release-track";
/// Tagged `v2` under the published key. In the second, all groups but the last have zeros in front.
const TAGGED: [&str; 2] =
    ["73cf9109-747e-4c23-92e0-4494afc95180", "00000009-007e-0c23-02e0-a0f8c1286617"];

/// What some library takes for white space, or for nothing.
const JUNK: [&[u8]; 22] = [
    b" ",
    b"\t",
    b"+",
    b"%20",
    b"%09",
    b"%0A",
    b"%0b",
    b"%0c",
    b"%1C",
    b"%1f",
    b"%85",
    b"%A0",
    b"%00",
    b"%7F",
    b"\x85",
    b"\xa0",
    b"%C2%A0",
    b"%C2%85",
    b"%E2%80%83",
    b"%EF%BB%BF",
    b"\xef\xbb\xbf",
    b"\"",
];

/// Others' members, most of them well formed: some libraries drop a list that has one that is not.
const OTHERS: [&[u8]; 10] =
    [b"a=1", b"b=2;p=1", b" c = 3 ", b"d=%20", b"e=x%2Cy", b"f=1=2", b"g", b"=h", b"i=%zz", b""];

pub(crate) fn request(random: &mut Rng) -> Lines {
    let (name, value) = match random.u8(..20) {
        0..=3 => ("x-request-id".to_owned(), id(random)),
        4 => ("correlation-context".into(), list(random)),
        5 => (one_of(random, &["uberctx-", "ot-baggage-", ""]).to_owned() + KEY, b"v2".to_vec()),
        6 => {
            let mut value =
                b"Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1;"
                    .to_vec();
            value.extend(key(random));
            value.extend(b"=v2");
            ("x-amzn-trace-id".into(), value)
        }
        _ => ("baggage".into(), list(random)),
    };
    let mut lines = vec![(name, value)];
    if lines.iter().any(|(name, _)| name == "baggage") && random.u8(..8) == 0 {
        lines.push(("baggage".into(), list(random)));
    }
    lines
}

fn one_of<'a, T: ?Sized>(random: &mut Rng, all: &[&'a T]) -> &'a T {
    all[random.usize(..all.len())]
}

fn list(random: &mut Rng) -> Vec<u8> {
    let mut members: Vec<Vec<u8>> = Vec::new();
    for _ in 0..random.usize(1..4) {
        let other = if random.u8(..4) == 0 { one_of(random, &OTHERS) } else { b"a=1" };
        members.push(if random.bool() { member(random) } else { other.to_vec() });
    }
    // White space around a field's value is not part of it.
    members.join(&b","[..]).trim_ascii().to_vec()
}

fn member(random: &mut Rng) -> Vec<u8> {
    let mut member = key(random);
    member.extend(one_of::<[u8]>(random, &[b"=", b"=", b"=", b" = ", b"=\t", b"==", b"%3D"]));
    member.extend(one_of::<[u8]>(
        random,
        &[
            b"v2",
            b"v2",
            b"v2",
            b"v2;p=1",
            b"%762",
            b"\"v2\"",
            b"v2 ",
            b"",
            b"v2=x",
            b"v2%20",
            b"v2%2Cb=1",
        ],
    ));
    match random.u8(..16) {
        0 => [b"x=y=", &*member].concat(),
        1 => [b"x=1;", &*member].concat(),
        2 => [b"x=1%2C", &*member].concat(),
        _ => member,
    }
}

/// The key, in up to three kinds of disguise.
fn key(random: &mut Rng) -> Vec<u8> {
    let mut key = KEY.as_bytes().to_vec();
    for _ in 0..random.u8(..4) {
        match random.u8(..8) {
            0 | 1 => key = [one_of::<[u8]>(random, &JUNK), &key].concat(),
            2 => key.extend(one_of::<[u8]>(random, &JUNK)),
            3 => {
                let at = random.usize(..key.len());
                let junk = one_of::<[u8]>(random, &JUNK);
                key.splice(at..at, junk.iter().copied());
            }
            4 => flip_case(random, &mut key),
            5 => {
                let mark = *one_of::<u8>(random, &[&b'_', &b'.', &b' ', &b'+']);
                key.iter_mut().filter(|b| **b == b'-').for_each(|b| *b = mark);
            }
            _ => escape(random, &mut key),
        }
    }
    key
}

fn flip_case(random: &mut Rng, text: &mut [u8]) {
    let all = random.bool();
    for byte in text.iter_mut().filter(|b| b.is_ascii_alphabetic()) {
        if all || random.u8(..3) == 0 {
            *byte ^= 0x20;
        }
    }
}

/// Some bytes, or all, and their escapes again.
fn escape(random: &mut Rng, text: &mut Vec<u8>) {
    let one_in = random.u8(1..6);
    let escaped = text.iter().flat_map(|byte| {
        if random.u8(..one_in) > 0 {
            return vec![*byte];
        }
        if random.bool() { format!("%{byte:02x}") } else { format!("%{byte:02X}") }.into_bytes()
    });
    *text = escaped.collect();
}

fn id(random: &mut Rng) -> Vec<u8> {
    let mut id = one_of(random, &TAGGED).as_bytes().to_vec();
    for _ in 0..random.u8(..4) {
        match random.u8(..12) {
            0 => id.retain(|b| *b != b'-'),
            1 => id.make_ascii_uppercase(),
            2 => flip_hex_case(random, &mut id),
            3 => {
                let (open, close) = [
                    ("{", "}"),
                    ("(", ")"),
                    ("[", "]"),
                    ("\"", "\""),
                    ("a", "b"),
                    ("{{", "}}"),
                    ("{", ""),
                ][random.usize(..7)];
                id = [open.as_bytes(), &id, close.as_bytes()].concat();
            }
            4 => {
                id = [
                    one_of::<[u8]>(random, &[b"urn:uuid:", b"URN:UUID:", b"uuid:", b"urn:", b"0x"]),
                    &id,
                ]
                .concat()
            }
            5 => {
                let at = random.usize(..id.len());
                id.insert(at, *one_of::<u8>(random, &[&b'-', &b'_', &b'+', &b' ', &b'0']));
            }
            6 => {
                // Groups without the zeros in front of them.
                let groups: Vec<Vec<u8>> = id
                    .split(|b| *b == b'-')
                    .map(|group| {
                        let zeros = group.iter().take_while(|b| **b == b'0').count();
                        group[zeros.min(group.len().saturating_sub(1))..].to_vec()
                    })
                    .collect();
                id = groups.join(&b'-');
            }
            7 => {
                // A group with more in front.
                let at = *one_of::<usize>(random, &[&0, &9, &14, &19, &24]);
                if at <= id.len() {
                    let more =
                        one_of::<[u8]>(random, &[b"0", b"f", b"+", b"0x", b"1_", b"00000000"]);
                    id.splice(at..at, more.iter().copied());
                }
            }
            8 => id = [b"uurn:uid:", &*id].concat(),
            9 => id = [one_of::<[u8]>(random, &[b"\xa0", b"\x85", b"id ", b"%20"]), &id].concat(),
            10 => id.extend(one_of::<[u8]>(
                random,
                &[b"\xa0", b"\x85", b" x", b", other", b",", b";p=1"],
            )),
            // Envoy's own digit.
            _ => {
                if let Some(digit) = id.get_mut(14) {
                    *digit = b'9';
                }
            }
        }
    }
    id.trim_ascii().to_vec()
}

fn flip_hex_case(random: &mut Rng, text: &mut [u8]) {
    let letters = text.iter_mut().filter(|b| b.is_ascii_alphabetic());
    letters.filter(|_| random.bool()).for_each(|b| *b ^= 0x20);
}
