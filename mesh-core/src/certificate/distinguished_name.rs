//! Distinguished names as text (RFC 2253).

use std::fmt::Write;

use super::der::{Malformed, OID, Reader, SEQUENCE, SET};

/// The text of a name, last part first, as in `CN=cart,O=shop`. Values that are not text are left out.
pub(super) fn text(name: &[u8]) -> Result<String, Malformed> {
    let mut parts = Vec::new();
    let mut name = Reader::new(name);
    while !name.is_empty() {
        let mut attributes = Reader::new(name.expect(SET)?);
        let mut part = String::new();
        while !attributes.is_empty() {
            let mut attribute = Reader::new(attributes.expect(SEQUENCE)?);
            let oid = attribute.expect(OID)?;
            let value = attribute.any()?;
            let Some(value) = value_text(value.tag, value.content) else { continue };
            if !part.is_empty() {
                part.push('+');
            }
            push_type(&mut part, oid);
            part.push('=');
            push_escaped(&mut part, &value);
        }
        parts.push(part);
    }
    parts.reverse();
    parts.retain(|part| !part.is_empty());
    Ok(parts.join(","))
}

fn value_text(tag: u8, content: &[u8]) -> Option<String> {
    match tag {
        UTF8_STRING | PRINTABLE_STRING | IA5_STRING => std::str::from_utf8(content).ok().map(str::to_owned),
        BMP_STRING => {
            let units = content.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            char::decode_utf16(units).collect::<Result<_, _>>().ok()
        }
        _ => None,
    }
}

/// The short name of an attribute type, or its OID.
fn push_type(part: &mut String, bytes: &[u8]) {
    match TYPES.iter().find(|(known, _)| *known == bytes) {
        Some((_, name)) => part.push_str(name),
        None => part.push_str(&oid(bytes)),
    }
}

/// The numbers of an OID, with dots between them.
pub(super) fn oid(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut number = 0_u64;
    let mut is_first = true;
    for byte in bytes {
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 != 0 {
            continue;
        }
        // The first number stands for two.
        let written = match is_first {
            true => {
                let first = (number / 40).min(2);
                write!(text, "{first}.{}", number - first * 40)
            }
            false => write!(text, ".{number}"),
        };
        debug_assert!(written.is_ok(), "writing to a string does not fail");
        (number, is_first) = (0, false);
    }
    text
}

fn push_escaped(part: &mut String, value: &str) {
    let last = value.chars().count().saturating_sub(1);
    for (at, letter) in value.chars().enumerate() {
        let is_escaped = matches!(letter, ',' | '+' | '"' | '\\' | '<' | '>' | ';')
            || (letter == '#' && at == 0)
            || (letter == ' ' && (at == 0 || at == last));
        if is_escaped {
            part.push('\\');
        }
        part.push(letter);
    }
}

const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const IA5_STRING: u8 = 0x16;
const BMP_STRING: u8 = 0x1e;

/// The types of RFC 2253 section 2.3, and those that the libraries of other languages know as well.
const TYPES: [(&[u8], &str); 10] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 5], "SERIALNUMBER"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "STREET"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x55, 4, 17], "POSTALCODE"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn name(parts: &[(&[u8], u8, &[u8])]) -> Vec<u8> {
        let wrap = |tag: u8, content: &[u8]| [&[tag, content.len() as u8], content].concat();
        let part = |(oid, tag, value): &(&[u8], u8, &[u8])| {
            wrap(SET, &wrap(SEQUENCE, &[wrap(OID, oid), wrap(*tag, value)].concat()))
        };
        parts.iter().flat_map(part).collect()
    }

    #[test]
    fn name_is_written_last_part_first() {
        let der = name(&[(&[0x55, 4, 10], PRINTABLE_STRING, b"shop"), (&[0x55, 4, 3], UTF8_STRING, b"cart")]);
        assert_eq!(text(&der).unwrap(), "CN=cart,O=shop");
        assert_eq!(text(&[]).unwrap(), "");
    }

    #[test]
    fn special_characters_are_escaped_and_unknown_types_are_numbers() {
        let der = name(&[(&[0x2a, 0x86, 0x48, 1], UTF8_STRING, b" #a,b+c "), (&[0x55, 4, 3], 0x03, b"bits")]);
        assert_eq!(text(&der).unwrap(), "1.2.840.1=\\ #a\\,b\\+c\\ ");
        let der = name(&[(&[0x55, 4, 3], BMP_STRING, &[0, b'a', 0x20, 0xac])]);
        assert_eq!(text(&der).unwrap(), "CN=a\u{20ac}");
    }
}
