//! The tokens of preview links: signed, they say which track to show, until when.
//!
//! `TRACK.EXPIRY.MAC`, split from the right: a track's name, or `baseline`; seconds of the Unix
//! epoch, in decimal; base64url without padding (RFC 4648, section 5) of HMAC-SHA256 over
//! `TRACK.EXPIRY`.
//!
//! ```
//! use release_track::decide::set_cookie::Cookie;
//! use release_track::decide::token::{Key, Tokens};
//! use release_track::track::Name;
//!
//! let key = Key::parse("00112233445566778899aabbccddeeff").unwrap();
//! let token = key.sign(&Name::parse("v2").unwrap(), 1_800_000_000);
//! assert!(token.starts_with("v2.1800000000."));
//!
//! let tokens = Tokens::new(vec![key], "release-track", Cookie::named("release-track"));
//! let read = tokens.verify(token.as_bytes(), 1_799_999_990).unwrap();
//! assert_eq!((read.track, read.rest), (&b"v2"[..], 10));
//! assert_eq!(tokens.verify(token.as_bytes(), 1_800_000_000), None);
//! ```

use super::set_cookie::Cookie;
use crate::host::Facts;
use crate::track::Name;
use hmac_sha256::HMAC;

/// A name, a number of 20 digits, a MAC, and the dots between.
const LONGEST: usize = Name::MAX + 1 + 20 + 1 + MAC;

/// 32 bytes in base64url.
const MAC: usize = 43;

/// What signs tokens, and what in a request holds one.
#[derive(Debug)]
pub struct Tokens {
    keys: Vec<Key>,
    /// The query parameter of a link.
    pub parameter: Box<str>,
    /// The cookie that keeps it.
    pub cookie: Cookie,
}

/// `preview`, before the proxy's environment is read.
#[derive(Debug)]
pub struct PreviewConfig {
    pub keys: PreviewKeys,
    pub parameter: Box<str>,
    pub cookie: Cookie,
}

#[derive(Debug)]
pub enum PreviewKeys {
    Given(Vec<Key>),
    /// The name of an environment variable.
    From(Box<str>),
}

impl PreviewConfig {
    /// Finds the keys. Where there are none, links are off, with a warning: an unset variable never
    /// refuses a configuration.
    pub(crate) fn open(self, facts: &mut impl Facts) -> Option<Tokens> {
        let keys = match self.keys {
            PreviewKeys::Given(keys) => keys,
            PreviewKeys::From(name) => {
                let keys = Key::list(&facts.environment(&name).unwrap_or_default());
                let problem = match keys {
                    Some(keys) if !keys.is_empty() => {
                        return Some(Tokens::new(keys, &self.parameter, self.cookie));
                    }
                    Some(_) => "is not set",
                    None => "holds no keys of 32 to 128 hex digits",
                };
                log::warn!(
                    "release-track: preview links are off: preview.keysFrom: the variable {name:?} {problem}"
                );
                return None;
            }
        };
        Some(Tokens::new(keys, &self.parameter, self.cookie))
    }
}

/// A signing key of 16 to 64 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Vec<u8>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// 32 to 128 hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        if !(32..=128).contains(&text.len()) {
            return None;
        }
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
        let digit = |b: u8| char::from(b).to_digit(16).map(|digit| digit as u8);
        let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
        Some(Self(bytes.collect::<Option<_>>()?))
    }

    /// Keys with commas or white space between them; `None`, if one of them is none.
    pub fn list(text: &str) -> Option<Vec<Self>> {
        let keys = text.split(|c: char| c == ',' || c.is_ascii_whitespace());
        keys.filter(|key| !key.is_empty()).map(Self::parse).collect()
    }

    fn mac(&self, message: &[u8]) -> [u8; MAC] {
        base64url(&HMAC::mac(message, &self.0))
    }

    /// The token of a preview of `track` until `expiry`, in seconds of the Unix epoch.
    pub fn sign(&self, track: &Name, expiry: u64) -> String {
        let message = format!("{track}.{expiry}");
        let mac = self.mac(message.as_bytes());
        format!("{message}.{}", mac.escape_ascii())
    }
}

/// A token whose signature is right and whose time is not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// A name in the form of a track's; it may be gone since.
    pub track: &'a [u8],
    /// Seconds from now, not zero.
    pub rest: u64,
}

impl Tokens {
    pub fn new(keys: Vec<Key>, parameter: &str, cookie: Cookie) -> Self {
        Self { keys, parameter: parameter.into(), cookie }
    }

    /// Reads a token at a time in seconds of the Unix epoch.
    pub fn verify<'a>(&self, token: &'a [u8], now: u64) -> Option<Token<'a>> {
        if token.len() > LONGEST {
            return None;
        }
        let mut parts = token.rsplitn(3, |b| *b == b'.');
        let (mac, expiry, track) = (parts.next()?, parts.next()?, parts.next()?);
        let message = token.get(..token.len().checked_sub(mac.len() + 1)?)?;
        // No early end: how long it takes does not tell which key, or how much of it, was right.
        let signed =
            self.keys.iter().fold(false, |signed, key| signed | equal(&key.mac(message), mac));
        let plain = expiry.iter().all(u8::is_ascii_digit);
        let expiry: u64 = std::str::from_utf8(expiry).ok().filter(|_| plain)?.parse().ok()?;
        (signed && expiry > now).then(|| Token { track, rest: expiry - now })
    }
}

/// In a time that does not depend on where the two differ.
fn equal(a: &[u8; MAC], b: &[u8]) -> bool {
    b.len() == a.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

fn base64url(bytes: &[u8; 32]) -> [u8; MAC] {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = [0; MAC];
    for (to, from) in text.chunks_mut(4).zip(bytes.chunks(3)) {
        let byte = |at: usize| u32::from(from.get(at).copied().unwrap_or_default());
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (digit, shift) in to.iter_mut().zip([18, 12, 6, 0]) {
            *digit = DIGITS.get((group >> shift & 63) as usize).copied().unwrap_or_default();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: &str) -> Key {
        Key::parse(&byte.repeat(16)).unwrap()
    }

    fn tokens(keys: &[&str]) -> Tokens {
        let keys = keys.iter().map(|byte| key(byte)).collect();
        Tokens::new(keys, "release-track", Cookie::named("release-track"))
    }

    fn sign(track: &str, expiry: u64) -> String {
        key("0f").sign(&Name::parse(track).unwrap(), expiry)
    }

    #[test]
    fn the_mac_is_hmac_sha256_in_base64url() {
        // RFC 4231, section 4.3. Its key is too short for a configuration.
        let mac = Key(b"Jefe".to_vec()).mac(b"what do ya want for nothing?");
        assert_eq!(&mac, b"W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM");
    }

    #[test]
    fn a_signed_token_is_read_until_it_expires() {
        let token = sign("v2", 1000);
        assert_eq!(
            tokens(&["0f"]).verify(token.as_bytes(), 999),
            Some(Token { track: b"v2", rest: 1 })
        );
        assert_eq!(tokens(&["0f"]).verify(token.as_bytes(), 1000), None);
        let dotted = sign("v2.1-rc", 1000);
        assert_eq!(tokens(&["0f"]).verify(dotted.as_bytes(), 0).unwrap().track, b"v2.1-rc");
    }

    #[test]
    fn every_key_verifies() {
        let token = sign("v2", 1000);
        assert!(tokens(&["aa", "0f"]).verify(token.as_bytes(), 0).is_some());
        assert!(tokens(&["aa"]).verify(token.as_bytes(), 0).is_none());
        assert!(tokens(&[]).verify(token.as_bytes(), 0).is_none());
    }

    #[test]
    fn anything_changed_is_refused() {
        let token = sign("v2", 1000);
        let tokens = tokens(&["0f"]);
        for end in 0..token.len() {
            assert_eq!(tokens.verify(&token.as_bytes()[..end], 0), None);
        }
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] ^= 1;
            assert_eq!(tokens.verify(&changed, 0), None, "{at}");
        }
        for more in
            [format!("{token}="), format!("{token}."), format!(" {token}"), "x".repeat(65536)]
        {
            assert_eq!(tokens.verify(more.as_bytes(), 0), None);
        }
        let signed = |message: &str| {
            let mac = key("0f").mac(message.as_bytes());
            format!("{message}.{}", mac.escape_ascii())
        };
        for message in ["v2.+1000", "v2.", "v2.99999999999999999999", "1000", "v2.0x10"] {
            assert_eq!(tokens.verify(signed(message).as_bytes(), 0), None, "{message}");
        }
    }

    #[test]
    fn keys_are_32_to_128_hex_digits() {
        for good in [32, 34, 128] {
            assert!(Key::parse(&"a".repeat(good)).is_some(), "{good}");
        }
        for bad in ["".to_owned(), "a".repeat(31), "a".repeat(33), "a".repeat(130), "g".repeat(32)]
        {
            assert!(Key::parse(&bad).is_none(), "{bad}");
        }
    }
}
