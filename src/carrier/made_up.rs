//! Ids that nobody drew: what stands where a client has none, what people type, what they copy from
//! documentation. They come with everybody's requests, so that to remember one would have baseline
//! follow the track that it once came in with.
//!
//! Chance makes such a number of 64 bits less than once in 10^9: its track is lost, and nothing else
//! comes of it.

use crate::syntax::hex;

/// A text that is an id has at least so many bytes,
const SHORTEST: usize = 16;
/// of which so many differ.
const DIFFERENT: usize = 8;

/// Ids that stand in documentation. What counts is found without.
const SAMPLES: [u128; 12] = [
    // W3C Trace Context, its examples.
    0x4bf92f3577b34da6a3ce929d0e0e4736,
    0x0af7651916cd43dd8448eb211c80319c,
    // B3 and Zipkin, theirs.
    0x80f198ee56343ba864fe8b2a57d3eff7,
    0x463ac35c9f6413ad48485a3953bb6124,
    // AWS X-Ray: developer guide, load balancers and concepts.
    0x5759e988bd862e3fe1be46a994272793,
    0x58406520a006649127e371903a2de979,
    // Google Cloud Trace: X-Cloud-Trace-Context.
    0x105445aa7843bc8bf206b12000100000,
    // UUIDs: RFC 4122 section 3, RFC 9562 appendix A.3, and two that everybody copies.
    0xf81d4fae7dec11d0a76500a0c91e6bf6,
    0x919108f752d143209bacf847db4148a8,
    0x123e4567e89b12d3a456426614174000,
    0x550e8400e29b41d4a716446655440000,
    // Keys and ids in examples of all kinds.
    0x00112233445566778899aabbccddeeff,
];

/// The half of an id that B3 and Datadog hand on.
const LOW: u128 = u64::MAX as u128;

/// One in each of 32 digits of four bits, and the highest bit of each.
const ONES: u128 = u128::MAX / 0xf;
const HIGHEST: u128 = ONES << 3;

/// Whether nobody drew this number, given as its digits, four bits each: zero, one, the same digit
/// throughout, digits of which most go on as one counts, and what stands in documentation.
///
/// Every traced request is asked, so all digits are looked at at once.
pub(super) fn number(digits: u128) -> bool {
    let length = (u128::BITS - digits.leading_zeros()).div_ceil(4);
    if length < 3 {
        return digits <= 1;
    }
    let pairs = length - 1;
    let low = digits as u64;
    let steps = steps(digits);
    // How many digits are not what the one before them says.
    let others = |step: u128| {
        let differ = steps ^ step;
        let differ = (differ | differ >> 1 | differ >> 2 | differ >> 3) & ONES;
        (differ & (u128::MAX >> (u128::BITS - 4 * pairs))).count_ones()
    };
    others(0) == 0
        || (length - others(ONES)) * 3 >= length * 2
        || SAMPLES.iter().any(|sample| low == *sample as u64 && is_half_of(digits, *sample))
}

/// By how much each digit is more than the one before it, modulo 16. The tops take up what a digit
/// would borrow from the next.
fn steps(digits: u128) -> u128 {
    let before = digits >> 4;
    ((digits | HIGHEST) - (before & !HIGHEST)) ^ ((digits ^ !before) & HIGHEST)
}

/// Whether this is a whole id, or the half of it that B3 and Datadog hand on.
fn is_half_of(digits: u128, whole: u128) -> bool {
    digits == whole || digits == whole & LOW
}

/// Whether nobody drew this text: it is too short or has too few characters, or it is a number that
/// nobody drew, with or without dashes.
pub(super) fn text(value: &[u8]) -> bool {
    let is_new = |(at, byte): &(usize, &u8)| !value.iter().take(*at).any(|other| other == *byte);
    value.len() < SHORTEST
        || value.iter().enumerate().filter(is_new).take(DIFFERENT).count() < DIFFERENT
        || plain_number(value).is_some_and(number)
}

/// The number that a text is, of up to 32 hex digits.
fn plain_number(text: &[u8]) -> Option<u128> {
    text.iter().filter(|byte| **byte != b'-').try_fold(0_u128, |number, byte| {
        let digit = hex::digit(*byte)?;
        (number >> 124 == 0).then_some(number << 4 | u128::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_nobody_drew() {
        for digits in [
            0,
            1,
            0x111,
            0x123,
            0x12345678,
            0xffffffffffffffff,
            0x1111111111111111,
            0x0123456789abcdef,
            0x1234567890abcdef,
            0x1234567890123456789,
            0x12345678901234567890,
            0x123456789abcdef0123456789abcdef0,
            0x00112233445566778899aabbccddeeff,
            0x12345678123456781234567812345678,
            // AWS X-Ray's newer pages.
            0x67891233abcdef012345678912345678,
            0x4bf92f3577b34da6a3ce929d0e0e4736,
            // Its low half, in B3.
            0xa3ce929d0e0e4736,
            u128::MAX,
        ] {
            assert!(number(digits), "{digits:x}");
        }
    }

    #[test]
    fn numbers_that_somebody_may_have_drawn() {
        for digits in [
            2,
            0x17,
            0xff,
            0x4711,
            0x3001,
            0xf0000000000000000000000000000001,
            0x9000000000000000004,
            0xe3ce829d0e0a4731,
            0x4bf92f3577b34da6a3ce929d0e0ec001,
            0x0000000000000001a3ce929d0e0ec001,
            0x16415201302869067569,
            0x9223372036854775807,
        ] {
            assert!(!number(digits), "{digits:x}");
        }
    }

    /// As many as can be looked at here.
    #[test]
    fn chance_makes_none() {
        let drawn = |number: u64| {
            let half = |salt: u64| {
                use std::hash::Hasher;
                let mut hasher = siphasher::sip::SipHasher24::new_with_keys(salt, 7);
                hasher.write_u64(number);
                hasher.finish()
            };
            (u128::from(half(1)) << 64 | u128::from(half(2)), half(3))
        };
        for number in 0..100_000 {
            let (whole, half) = drawn(number);
            assert!(!super::number(whole), "{whole:x}");
            assert!(!super::number(half.into()), "{half:x}");
            let decimal = u128::from_str_radix(&half.to_string(), 16).unwrap();
            assert!(!super::number(decimal), "{half}");
            assert!(!text(format!("{whole:032x}").as_bytes()), "{whole:x}");
        }
    }

    #[test]
    fn texts_that_nobody_drew() {
        for value in [
            "",
            "-",
            "0",
            "N/A",
            "null",
            "none",
            "unknown",
            "undefined",
            "undefined-undefined",
            "null, null, null, null",
            "0000000000000000",
            "00000000-0000-0000-0000-000000000000",
            "11111111-1111-1111-1111-111111111111",
            "1234567890123456",
            "12345678-1234-1234-1234-123456789012",
            "123E4567-E89B-12D3-A456-426614174000",
            "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
            // One byte too few, or one too like the others.
            "abcdefghijklmno",
            "abcdefgabcdefgabcdefg",
        ] {
            assert!(text(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn texts_that_somebody_may_have_drawn() {
        for value in [
            "abcdefghabcdefgh",
            "job-17-of-this-night",
            "a1b2c3d4-e5f6-9788-8a9b-acbdcedfe0f1",
            "01JCV0X9M6W3T8Q4Y7Z2K5N1R0",
            "6ab7c7e98e3f4e0f9a45.62.17647233000010001",
        ] {
            assert!(!text(value.as_bytes()), "{value}");
        }
        assert!(!text(&(100..=255).collect::<Vec<u8>>()));
    }
}
