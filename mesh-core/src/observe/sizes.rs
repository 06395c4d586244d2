//! Counts the bytes of messages in a body of gRPC.

use super::ObservedMessage;

/// Counts the bytes of messages in a body of gRPC: each message has a prefix of one byte and a length of four.
#[derive(Debug, Default)]
pub(crate) struct MessageSizes {
    /// How many bytes of the present prefix have been seen.
    prefix: u8,
    is_compressed: bool,
    /// The length in the present prefix, as far as it has been seen.
    length: u32,
    /// How many bytes of the present message are missing.
    missing: u32,
    /// The number of the next message.
    sequence: u64,
}

impl MessageSizes {
    /// The next data of the body. Returns how many bytes of it are bytes of messages, and calls `on_message` for every message that
    /// begins in it.
    pub(crate) fn count(&mut self, mut data: &[u8], mut on_message: impl FnMut(ObservedMessage)) -> u64 {
        let mut counted = 0;
        while let Some((&first, rest)) = data.split_first() {
            if self.missing > 0 {
                let part = data.len().min(self.missing as usize);
                counted += part as u64;
                // at most `missing`, which is a u32
                self.missing -= u32::try_from(part).unwrap_or(self.missing);
                data = &data[part..];
                continue;
            }
            if self.prefix == 0 {
                self.is_compressed = first & 1 == 1;
            } else {
                self.length = self.length << 8 | u32::from(first);
            }
            self.prefix += 1;
            data = rest;
            if self.prefix == PREFIX {
                self.missing = std::mem::take(&mut self.length);
                self.prefix = 0;
                on_message(ObservedMessage {
                    sequence: self.sequence,
                    length: self.missing,
                    is_compressed: self.is_compressed,
                });
                self.sequence += 1;
            }
        }
        counted
    }
}

/// The length of a message's prefix.
const PREFIX: u8 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_without_their_prefixes_however_they_are_cut() {
        let mut body = Vec::new();
        let lengths = [3_u32, 0, 300, 1];
        for length in lengths {
            body.push(u8::from(length == 300));
            body.extend(length.to_be_bytes());
            body.extend(vec![7; length as usize]);
        }
        let expected = (0..).zip(lengths).map(|(sequence, length)| ObservedMessage {
            sequence,
            length,
            is_compressed: length == 300,
        });
        let expected: Vec<_> = expected.collect();
        for part in [1, 2, 3, 5, 7, 64, 1000] {
            let (mut sizes, mut messages) = (MessageSizes::default(), Vec::new());
            let mut counted = 0;
            for data in body.chunks(part) {
                counted += sizes.count(data, |message| messages.push(message));
            }
            assert_eq!((counted, &messages), (304, &expected), "parts of {part}");
        }
    }
}
