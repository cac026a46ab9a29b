//! Hex digits of any case.

/// The value of each byte that is a digit, [`NONE`] for all others. Looking it up takes a third of
/// the instructions that comparing does.
const VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let mut value = 0;
    while value < 16 {
        // Both lengths are known here.
        #[allow(clippy::indexing_slicing)]
        {
            values[b"0123456789abcdef"[value] as usize] = value as u8;
            values[b"0123456789ABCDEF"[value] as usize] = value as u8;
        }
        value += 1;
    }
    values
};

const NONE: u8 = 16;

#[inline]
fn value(byte: u8) -> u8 {
    VALUES.get(usize::from(byte)).copied().unwrap_or(NONE)
}

#[inline]
pub fn digit(byte: u8) -> Option<u8> {
    Some(value(byte)).filter(|value| *value != NONE)
}

/// At most 16 digits. `Some(0)` for none.
#[inline]
pub fn parse(digits: &[u8]) -> Option<u64> {
    let mut seen = 0;
    let mut number = 0;
    for byte in digits {
        let value = value(*byte);
        seen |= value;
        number = number << 4 | u64::from(value);
    }
    (digits.len() <= 16 && seen & NONE == 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_a_digit_or_none() {
        for byte in 0..=u8::MAX {
            let want = char::from(byte).to_digit(16).map(|digit| digit as u8);
            assert_eq!(digit(byte), want, "{byte:#x}");
        }
    }

    #[test]
    fn up_to_sixteen_digits() {
        assert_eq!(parse(b""), Some(0));
        assert_eq!(parse(b"00fF"), Some(255));
        assert_eq!(parse(b"ffffffffffffffff"), Some(u64::MAX));
        assert_eq!(parse(b"0ffffffffffffffff"), None);
        assert_eq!(parse(b"0g"), None);
    }
}
