//! Base64 (RFC 4648 section 4), with or without its padding.

/// Decodes into `buffer`; `None` where it does not fit, or is none.
pub fn decode<'a>(text: &[u8], buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let digits = text.strip_suffix(b"=").unwrap_or(text);
    let digits = digits.strip_suffix(b"=").unwrap_or(digits);
    let mut length = 0;
    let mut bits = 0_u32;
    let mut pending = 0;
    for byte in digits {
        bits = bits << 6 | u32::from(value(*byte)?);
        pending += 6;
        if pending >= 8 {
            pending -= 8;
            *buffer.get_mut(length)? = (bits >> pending) as u8;
            length += 1;
        }
    }
    buffer.get(..length)
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_standard() {
        // RFC 4648, section 10.
        for (text, want) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9vYmFy", "foobar"),
            ("Zm9vYg", "foob"),
        ] {
            assert_eq!(decode(text.as_bytes(), &mut [0; 6]), Some(want.as_bytes()), "{text}");
        }
        assert_eq!(decode(b"+/+/", &mut [0; 3]), Some(&b"\xfb\xff\xbf"[..]));
        for text in ["Zm9vYmFyZg==", "Zm-v", "Zm9v===", "Z g=", "\u{e9}"] {
            assert_eq!(decode(text.as_bytes(), &mut [0; 6]), None, "{text}");
        }
    }
}
