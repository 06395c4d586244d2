//! Reading and writing the few messages of services that come with the server.

use bytes::BufMut;

/// A field's value, as its wire type has it; fixed-width numbers are skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'m> {
    Varint(u64),
    Bytes(&'m [u8]),
}

/// Calls `take` with every field of a message; `None`: it is no message.
pub(super) fn read<'m>(message: &'m [u8], mut take: impl FnMut(u64, Value<'m>)) -> Option<()> {
    let mut rest = message;
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        let length = match key & 7 {
            0 => {
                take(key >> 3, Value::Varint(varint(&mut rest)?));
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut rest)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let (value, after) = rest.split_at_checked(length)?;
        if key & 7 == 2 {
            take(key >> 3, Value::Bytes(value));
        }
        rest = after;
    }
    Some(())
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Writes a `double`; zero is left out.
pub(super) fn put_double(message: &mut Vec<u8>, number: u32, value: f64) {
    if value != 0.0 {
        put_varint(message, number << 3 | 1);
        message.put_f64_le(value);
    }
}

/// Writes an entry of a `map<string, double>`.
pub(super) fn put_entry(message: &mut Vec<u8>, number: u32, name: &str, value: f64) {
    let mut entry = Vec::new();
    put_bytes(&mut entry, 1, name.as_bytes());
    put_double(&mut entry, 2, value);
    put_bytes(message, number, &entry);
}

fn put_bytes(message: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_varint(message, number << 3 | 2);
    put_varint(message, u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    message.extend_from_slice(bytes);
}

fn put_varint(message: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        message.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}
