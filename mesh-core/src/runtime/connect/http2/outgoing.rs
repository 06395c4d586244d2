//! Follows the frames that a connection writes.

use super::frame::Head;

/// Follows the frames of the bytes that the socket has taken, in pieces of any size.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// How many bytes of the preface or of a payload are still to come.
    skip: usize,
    head: [u8; Head::LENGTH],
    seen: usize,
}

impl Outgoing {
    /// Whether another frame may be written now.
    pub(super) fn is_between_frames(&self) -> bool {
        self.skip == 0 && self.seen == 0
    }

    /// Calls `on_frame` for every frame whose head is complete with these bytes.
    pub(super) fn follow(&mut self, mut bytes: &[u8], mut on_frame: impl FnMut(Head)) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let step = self.skip.min(bytes.len());
                self.skip -= step;
                bytes = &bytes[step..];
                continue;
            }
            let step = (Head::LENGTH - self.seen).min(bytes.len());
            self.head[self.seen..self.seen + step].copy_from_slice(&bytes[..step]);
            self.seen += step;
            bytes = &bytes[step..];
            if self.seen == Head::LENGTH {
                let head = Head::parse(&self.head);
                (self.seen, self.skip) = (0, head.length);
                on_frame(head);
            }
        }
    }
}

impl Default for Outgoing {
    fn default() -> Self {
        Self { skip: PREFACE, head: [0; Head::LENGTH], seen: 0 }
    }
}

/// RFC 9113 section 3.4: what a client sends before its first frame.
const PREFACE: usize = 24;

#[cfg(test)]
mod tests {
    use super::super::frame::{DATA, END_STREAM, HEADERS, RST_STREAM};
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8, payload: usize) -> Vec<u8> {
        let mut frame = vec![0, (payload >> 8) as u8, payload as u8, kind, flags, 0, 0, 0, stream];
        // Payloads that look like heads of HEADERS frames.
        frame.extend(std::iter::repeat_n(HEADERS, payload));
        frame
    }

    #[test]
    fn frames_are_found_in_pieces_of_any_size() {
        let frames = [
            frame(HEADERS, 4, 1, 40),
            frame(DATA, END_STREAM, 1, 300),
            frame(HEADERS, 5, 3, 0),
            frame(RST_STREAM, 0, 3, 4),
        ];
        let bytes = [vec![b'P'; PREFACE], frames.concat()].concat();
        for piece in 1..60 {
            let mut outgoing = Outgoing::default();
            let mut found = Vec::new();
            for bytes in bytes.chunks(piece) {
                outgoing.follow(bytes, |head| found.push((head.kind, head.stream, head.ends_stream())));
            }
            let expected = [(HEADERS, 1, false), (DATA, 1, true), (HEADERS, 3, true), (RST_STREAM, 3, false)];
            assert_eq!(found, expected, "pieces of {piece}");
        }
    }
}
