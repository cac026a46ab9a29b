//! Dates and times of RFC 3339.

/// Section 5.6, as milliseconds of the Unix epoch; `None` for what is not of that form, no date, or
/// before the epoch.
#[cold]
pub(super) fn date_time(text: &[u8]) -> Option<u64> {
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        let plain = digits.iter().all(u8::is_ascii_digit);
        std::str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()
    };
    let mark = |at: usize, marks: &[u8]| text.get(at).filter(|b| marks.contains(b));
    mark(4, b"-")
        .and(mark(7, b"-"))
        .and(mark(10, b"Tt"))
        .and(mark(13, b":"))
        .and(mark(16, b":"))?;
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let valid = (1..=12).contains(&month) && (1..=days).contains(&day) && hour < 24 && minute < 60;
    if !valid || second > 60 {
        return None;
    }
    // A fraction of a second moves no share by a step.
    let mut at = 19;
    if mark(at, b".").is_some() {
        at += 1;
        at += text.get(at..)?.iter().take_while(|b| b.is_ascii_digit()).count();
        mark(at - 1, b"0123456789")?;
    }
    let offset = match text.get(at)? {
        b'Z' | b'z' if text.len() == at + 1 => 0,
        sign @ (b'+' | b'-') if text.len() == at + 6 => {
            mark(at + 3, b":")?;
            let (hours, minutes) = (number(at + 1, at + 3)?, number(at + 4, at + 6)?);
            let offset = (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)?;
            if *sign == b'+' { offset } else { -offset }
        }
        _ => return None,
    };
    // Days since the epoch in the proleptic Gregorian calendar, years counted from March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (153 * m + 2) / 5 + day
            - 1
            - 719_468;
    let seconds = ((days * 24 + hour) * 60 + minute - offset) * 60 + second;
    u64::try_from(seconds).ok()?.checked_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    // The numbers are another language's.
    #[test]
    fn dates_are_milliseconds_of_the_epoch() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1972-02-29T23:59:59Z", 68_255_999_000),
            ("2000-03-01T00:00:00Z", 951_868_800_000),
            ("2026-11-24T09:00:00+01:00", 1_795_507_200_000),
            ("2026-11-24T09:00:00-11:45", 1_795_553_100_000),
            ("2027-01-15t08:00:00.999z", 1_800_000_000_000),
            ("2028-12-31T23:59:59Z", 1_861_919_999_000),
            ("2100-03-01T00:00:00Z", 4_107_542_400_000),
        ] {
            assert_eq!(date_time(text.as_bytes()), Some(ms), "{text}");
        }
        for text in [
            "",
            "1969-12-31T23:59:59Z",
            "2027-00-15T08:00:00Z",
            "2027-13-15T08:00:00Z",
            "2027-01-00T08:00:00Z",
            "2027-01-32T08:00:00Z",
            "2027-04-31T08:00:00Z",
            "2027-02-29T08:00:00Z",
            "2100-02-29T08:00:00Z",
            "2027-01-15T24:00:00Z",
            "2027-01-15T08:60:00Z",
            "2027-01-15T08:00:61Z",
            "2027-01-15 08:00:00Z",
            "2027/01/15T08:00:00Z",
            "2027-01-15T08-00-00Z",
            "2027-01-15T08:00:00",
            "2027-01-15T08:00:00.Z",
            "2027-01-15T08:00:00Zx",
            "2027-01-15T08:00:00+24:00",
            "2027-01-15T08:00:00+01:60",
            "2027-01-15T08:00:00+0100",
            "2027-01-15T08:00:00*01:00",
            "+027-01-15T08:00:00Z",
        ] {
            assert_eq!(date_time(text.as_bytes()), None, "{text}");
        }
    }
}
