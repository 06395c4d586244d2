//! Changes to a message that leave it a message: fields go, come twice, move, and get other values.

use rand::rngs::StdRng;
use rand::{Rng, RngExt};

/// One field of an encoded message.
#[derive(Debug, Clone)]
enum Value {
    Varint(u64),
    Fixed64([u8; 8]),
    Fixed32([u8; 4]),
    Text(Vec<u8>),
    Message(Message),
}

/// An encoded message, field by field, as deep as its bytes can be read as messages.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message(Vec<(u32, Value)>);

impl Message {
    /// `None`: these bytes are no message.
    pub(crate) fn parse(mut bytes: &[u8]) -> Option<Self> {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let tag = varint(&mut bytes)?;
            let number = u32::try_from(tag >> 3).ok().filter(|number| (1..=3000).contains(number))?;
            let value = match tag & 7 {
                0 => Value::Varint(varint(&mut bytes)?),
                1 => Value::Fixed64(take(&mut bytes, 8)?.try_into().ok()?),
                5 => Value::Fixed32(take(&mut bytes, 4)?.try_into().ok()?),
                2 => {
                    let length = usize::try_from(varint(&mut bytes)?).ok()?;
                    let content = take(&mut bytes, length)?;
                    match Self::parse(content).filter(|_| !content.is_empty()) {
                        Some(message) => Value::Message(message),
                        None => Value::Text(content.to_vec()),
                    }
                }
                _ => return None,
            };
            fields.push((number, value));
        }
        Some(Self(fields))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (number, value) in &self.0 {
            let mut delimited = |content: &[u8]| {
                put_varint(&mut bytes, u64::from(number << 3 | 2));
                put_varint(&mut bytes, content.len() as u64);
                bytes.extend(content);
            };
            match value {
                Value::Text(text) => delimited(text),
                Value::Message(message) => delimited(&message.encode()),
                Value::Varint(value) => {
                    put_varint(&mut bytes, u64::from(number << 3));
                    put_varint(&mut bytes, *value);
                }
                Value::Fixed64(value) => {
                    put_varint(&mut bytes, u64::from(number << 3 | 1));
                    bytes.extend(value);
                }
                Value::Fixed32(value) => {
                    put_varint(&mut bytes, u64::from(number << 3 | 5));
                    bytes.extend(value);
                }
            }
        }
        bytes
    }

    /// One change, anywhere.
    pub(crate) fn mutate(&mut self, rng: &mut StdRng) {
        let fields = self.fields();
        if fields == 0 {
            return;
        }
        self.mutate_field(rng.random_range(0..fields), rng);
    }

    /// How many fields there are, at all depths.
    fn fields(&self) -> usize {
        let below = |value: &Value| if let Value::Message(message) = value { message.fields() } else { 0 };
        self.0.iter().map(|(_, value)| 1 + below(value)).sum()
    }

    fn mutate_field(&mut self, mut position: usize, rng: &mut StdRng) {
        for index in 0..self.0.len() {
            if position == 0 {
                return self.mutate_here(index, rng);
            }
            position -= 1;
            if let Value::Message(message) = &mut self.0[index].1 {
                let fields = message.fields();
                if position < fields {
                    return message.mutate_field(position, rng);
                }
                position -= fields;
            }
        }
    }

    fn mutate_here(&mut self, index: usize, rng: &mut StdRng) {
        match rng.random_range(0..8) {
            0 => _ = self.0.remove(index),
            1 => {
                let copy = self.0[index].clone();
                self.0.insert(rng.random_range(0..=index), copy);
            }
            2 => {
                let other = rng.random_range(0..self.0.len());
                let value = self.0[other].1.clone();
                self.0[index].1 = value;
            }
            3 => self.0[index].0 = rng.random_range(1..=20),
            _ => self.0[index].1.change(rng),
        }
    }
}

impl Value {
    fn change(&mut self, rng: &mut StdRng) {
        match self {
            Self::Varint(value) => *value = *pick(&NUMBERS, rng),
            Self::Fixed64(value) => rng.fill_bytes(value),
            Self::Fixed32(value) => rng.fill_bytes(value),
            Self::Text(_) => *self = Self::Text(pick(&TEXTS, rng).as_bytes().to_vec()),
            Self::Message(_) => match rng.random_range(0..3) {
                0 => *self = Self::Message(Message::default()),
                1 => *self = Self::Text(pick(&TEXTS, rng).as_bytes().to_vec()),
                _ => *self = Self::Message(Message(vec![(1, Self::Varint(*pick(&NUMBERS, rng)))])),
            },
        }
    }
}

fn pick<'a, T>(choices: &'a [T], rng: &mut StdRng) -> &'a T {
    &choices[rng.random_range(0..choices.len())]
}

/// What rules draw a line at.
const NUMBERS: [u64; 13] =
    [0, 1, 2, 3, 4, 7, 100, 101, 65_536, 8_388_609, u32::MAX as u64, 315_576_000_001, u64::MAX];

const TEXTS: [&str; 14] = [
    "",
    "x",
    "*",
    "a*b",
    "(",
    "[a",
    "a|b",
    "127.0.0.1",
    ":method",
    "xdstp://a/b/c",
    "unavailable",
    "route",
    "é",
    "type.googleapis.com/envoy.config.core.v3.Address",
];

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    prost::encoding::decode_varint(bytes).ok()
}

fn put_varint(bytes: &mut Vec<u8>, value: u64) {
    prost::encoding::encode_varint(value, bytes);
}
