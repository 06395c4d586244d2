//! The heads of HTTP/2 frames (RFC 9113 section 4.1).

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Head {
    pub(super) fn parse(bytes: &[u8; Self::LENGTH]) -> Self {
        let [a, b, c, kind, flags, stream @ ..] = *bytes;
        Self {
            length: usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c),
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & MAX_STREAM,
        }
    }

    /// Whether the frame is its sender's last one of the stream.
    pub(super) fn ends_stream(self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }

    /// Whether the first byte of the payload is the number of bytes of padding.
    pub(super) fn is_padded_data(self) -> bool {
        self.kind == DATA && self.flags & PADDED != 0 && self.length > 0
    }

    /// How many bytes a head has.
    pub(super) const LENGTH: usize = 9;
}

/// A value for each stream.
pub(super) type StreamMap<V> = HashMap<u32, V, BuildHasherDefault<StreamHasher>>;

/// Streams have consecutive odd numbers: spreading them over the upper bits is all that a table needs.
#[derive(Debug, Default)]
pub(super) struct StreamHasher(u64);

impl Hasher for StreamHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;

pub(super) const END_STREAM: u8 = 1;
pub(super) const ACK: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const PADDED: u8 = 8;

/// The highest number of a stream.
pub(super) const MAX_STREAM: u32 = (1 << 31) - 1;
