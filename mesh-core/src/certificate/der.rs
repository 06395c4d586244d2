//! Reads DER (X.690), as far as X.509 needs it.

use std::fmt;

/// The encoding is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// The rest of some encoded values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

/// One value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next value.
    pub(super) fn any(&mut self) -> Result<Value<'a>, Malformed> {
        let [tag, rest @ ..] = self.0 else { return Err(Malformed) };
        // No value in X.509 has a tag number of more than one byte.
        if tag & 0x1f == 0x1f {
            return Err(Malformed);
        }
        let (length, rest) = length(rest)?;
        let (content, after) = rest.split_at_checked(length).ok_or(Malformed)?;
        self.0 = after;
        Ok(Value { tag: *tag, content })
    }

    /// The tag of the next value.
    pub(super) fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next value, which must have this tag: with its tag and length, and its content.
    pub(super) fn raw(&mut self, tag: u8) -> Result<(&'a [u8], &'a [u8]), Malformed> {
        let before = self.0;
        let content = self.expect(tag)?;
        Ok((&before[..before.len() - self.0.len()], content))
    }

    /// The next value, which must have this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        let value = self.any()?;
        if value.tag == tag { Ok(value.content) } else { Err(Malformed) }
    }

    /// The next value if it has this tag.
    pub(super) fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, Malformed> {
        match self.0.first() {
            Some(first) if *first == tag => self.expect(tag).map(Some),
            _ => Ok(None),
        }
    }
}

fn length(bytes: &[u8]) -> Result<(usize, &[u8]), Malformed> {
    let [first, rest @ ..] = bytes else { return Err(Malformed) };
    match first {
        0..=0x7f => Ok((usize::from(*first), rest)),
        // Four bytes are more than any certificate or list has.
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f)).ok_or(Malformed)?;
            let length = digits.iter().fold(0_usize, |length, digit| length << 8 | usize::from(*digit));
            Ok((length, rest))
        }
        _ => Err(Malformed),
    }
}

/// Seconds since 1970 of a UTCTime or a GeneralizedTime in the forms that RFC 5280 allows.
pub(super) fn time(value: Value<'_>) -> Result<i64, Malformed> {
    let digits = value.content.strip_suffix(b"Z").ok_or(Malformed)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(Malformed);
    }
    let number =
        |digits: &[u8]| digits.iter().fold(0_i64, |number, digit| number * 10 + i64::from(digit - b'0'));
    let (year, rest) = match (value.tag, digits.len()) {
        (UTC_TIME, 12) => match number(&digits[..2]) {
            year @ 50.. => (1900 + year, &digits[2..]),
            year => (2000 + year, &digits[2..]),
        },
        (GENERALIZED_TIME, 14) => (number(&digits[..4]), &digits[4..]),
        _ => return Err(Malformed),
    };
    let [month, day, hour, minute, second] = [0, 2, 4, 6, 8].map(|at| number(&rest[at..at + 2]));
    let is_valid =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60;
    match is_valid {
        true => Ok(days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second),
        false => Err(Malformed),
    }
}

/// Days from 1970-01-01 to a day of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March here, so that the leap day is the last day of a year.
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let century_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + century_days + day_of_year - 719_468
}

/// A time in seconds since 1970, displayed as in `2026-11-30T17:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct UtcTime(pub(crate) i64);

impl fmt::Display for UtcTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Far from what any certificate can say.
        let seconds = self.0.clamp(-1 << 40, 1 << 40);
        let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // Years begin in March here; an era has 400 of them.
        let (era, day_of_era) = ((day + 719_468).div_euclid(146_097), (day + 719_468).rem_euclid(146_097));
        let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = era * 400 + year + i64::from(month <= 2);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_both_forms() {
        let rows = [
            (UTC_TIME, "700101000000Z", Ok(0)),
            (UTC_TIME, "491231235959Z", Ok(2_524_607_999)),
            (UTC_TIME, "500101000000Z", Ok(-631_152_000)),
            (GENERALIZED_TIME, "20240229120000Z", Ok(1_709_208_000)),
            (GENERALIZED_TIME, "20500101000000Z", Ok(2_524_608_000)),
            (GENERALIZED_TIME, "99991231235959Z", Ok(253_402_300_799)),
            (UTC_TIME, "700101000000", Err(Malformed)),
            (UTC_TIME, "7001010000Z", Err(Malformed)),
            (UTC_TIME, "701301000000Z", Err(Malformed)),
            (UTC_TIME, "70010100000aZ", Err(Malformed)),
            (INTEGER, "700101000000Z", Err(Malformed)),
        ];
        for (tag, text, seconds) in rows {
            let value = Value { tag, content: text.as_bytes() };
            assert_eq!(time(value), seconds, "{text}");
        }
    }

    #[test]
    fn times_are_shown_as_they_were_read() {
        for text in
            ["19700101000000Z", "20240229120001Z", "20991231235959Z", "20000301000000Z", "99991231235959Z"]
        {
            let seconds = time(Value { tag: GENERALIZED_TIME, content: text.as_bytes() }).unwrap();
            let shown = UtcTime(seconds).to_string();
            assert_eq!(shown.replace(['-', 'T', ':'], ""), text);
        }
        assert_eq!(UtcTime(i64::MAX).to_string(), UtcTime(1 << 40).to_string());
    }

    #[test]
    fn lengths_beyond_the_input_are_malformed() {
        for bytes in [
            &[0x30][..],
            &[0x30, 1],
            &[0x30, 0x80],
            &[0x30, 0x85, 0, 0, 0, 0, 0],
            &[0x30, 0x84, 255, 255, 255, 255],
        ] {
            assert!(Reader::new(bytes).any().is_err(), "{bytes:?}");
        }
        let value = Reader::new(&[0x30, 0x81, 1, 7, 9]).any().unwrap();
        assert_eq!((value.tag, value.content), (0x30, &[7][..]));
    }
}
