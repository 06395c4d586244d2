//! The bytes of a connection on their way in.
//!
//! h2 ends a connection for harmless frames: it counts empty DATA frames over the connection's life, and one
//! reader that pauses can hold any number of small ones. [`Incoming`] takes DATA frames without data and those of streams
//! that have ended out, and turns a stream whose reader is too far behind into one that h2 resets.

use super::frame::{self, Head};
use super::wire::{Decision, Wire};

/// Follows and edits the frames of the bytes that arrive, in pieces of any size.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    /// A frame has been seen.
    begun: bool,
    /// How many bytes of the present frame's payload are still to come.
    left: usize,
    /// h2 does not see the present frame.
    is_dropped: bool,
    /// The frame whose payload is kept, and the payload so far.
    control: Option<Head>,
    payload: Vec<u8>,
}

/// The result of a scan of received bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scanned {
    /// So many bytes, from the first one on, are to be delivered.
    pub(super) keep: usize,
    /// Bytes from here on have not been looked at, and are to be given again.
    pub(super) rest: usize,
    pub(super) stop: Stop,
}

/// Why bytes were not looked at.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// There are none.
    End,
    /// More bytes are needed.
    Incomplete,
    /// A GOAWAY has ended.
    AfterGoaway,
    /// This stream is to be reset first.
    Reset(u32),
}

impl Incoming {
    pub(super) fn scan(&mut self, bytes: &mut [u8], wire: &mut Wire) -> Scanned {
        let (mut read, mut keep) = (0, 0);
        while read < bytes.len() {
            if self.left > 0 {
                let step = self.left.min(bytes.len() - read);
                if self.control.is_some() {
                    self.payload.extend_from_slice(&bytes[read..read + step]);
                }
                if !self.is_dropped {
                    move_down(bytes, read, keep, step);
                    keep += step;
                }
                (read, self.left) = (read + step, self.left - step);
                if self.left == 0 && self.on_control(wire) {
                    return Scanned { keep, rest: read, stop: Stop::AfterGoaway };
                }
                continue;
            }
            if !self.begun {
                wire.on_first_bytes(&bytes[read..]);
            }
            let Some(head) = bytes[read..].first_chunk().map(Head::parse) else {
                return Scanned { keep, rest: read, stop: Stop::Incomplete };
            };
            self.begun = true;
            let padding = bytes.get(read + Head::LENGTH).copied().filter(|_| head.is_padded_data());
            if head.is_padded_data() && padding.is_none() {
                return Scanned { keep, rest: read, stop: Stop::Incomplete };
            }
            let decision = wire.on_received(head, padding);
            self.is_dropped = decision == Decision::Drop;
            match decision {
                Decision::Deliver => {
                    move_down(bytes, read, keep, Head::LENGTH);
                    keep += Head::LENGTH;
                }
                Decision::Drop => {}
                Decision::Reset => {
                    return Scanned { keep, rest: read, stop: Stop::Reset(head.stream) };
                }
            }
            read += Head::LENGTH;
            self.left = head.length;
            if head.length > 0 && is_control(head) {
                self.control = Some(head);
            }
        }
        Scanned { keep, rest: read, stop: Stop::End }
    }

    /// Whether all of the frames that have been looked at is there.
    pub(super) fn is_between_frames(&self) -> bool {
        self.left == 0
    }

    /// The payload of a frame has ended. Whether it was a GOAWAY.
    fn on_control(&mut self, wire: &mut Wire) -> bool {
        let Some(head) = self.control.take() else { return false };
        let payload = std::mem::take(&mut self.payload);
        match head.kind {
            frame::GOAWAY => wire.on_goaway(&payload),
            frame::WINDOW_UPDATE => wire.on_grant(&payload),
            _ if head.flags & frame::ACK == 0 => wire.on_settings(&payload),
            _ => {}
        }
        head.kind == frame::GOAWAY
    }
}

/// Whether the frame's payload is kept.
fn is_control(head: Head) -> bool {
    match head.kind {
        frame::SETTINGS | frame::GOAWAY => true,
        frame::WINDOW_UPDATE => head.stream == 0,
        _ => false,
    }
}

fn move_down(bytes: &mut [u8], from: usize, to: usize, length: usize) {
    if from != to {
        bytes.copy_within(from..from + length, to);
    }
}

/// A HEADERS frame that h2 takes for trailers without END_STREAM. RFC 9113 section 8.1: it resets the stream for that.
pub(super) fn reset_frame(stream: u32) -> [u8; Head::LENGTH] {
    let [a, b, c, d] = stream.to_be_bytes();
    [0, 0, 0, frame::HEADERS, frame::END_HEADERS, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::frame::{DATA, GOAWAY, HEADERS, SETTINGS};
    use super::super::settings::Http2Settings;
    use super::super::shared::Shared;
    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let mut frame = vec![0, (payload >> 8) as u8, payload as u8, kind, flags, 0, 0, 0, 1];
        // Payloads that look like heads of GOAWAY frames.
        frame.extend(std::iter::repeat_n(GOAWAY, payload));
        frame
    }

    /// What is delivered of bytes that come in pieces of this size, and after how many of them a GOAWAY ended.
    fn deliver(bytes: &[u8], piece: usize) -> (Vec<u8>, Vec<usize>) {
        let settings = Http2Settings::default();
        let mut wire = Wire::new(Arc::new(Shared::new(u32::MAX, &settings)), &settings);
        let mut incoming = Incoming::default();
        let (mut delivered, mut goaways, mut held) = (Vec::new(), Vec::new(), Vec::new());
        for piece in bytes.chunks(piece) {
            held.extend_from_slice(piece);
            loop {
                let scanned = incoming.scan(&mut held, &mut wire);
                delivered.extend_from_slice(&held[..scanned.keep]);
                held.drain(..scanned.rest);
                match scanned.stop {
                    Stop::AfterGoaway => goaways.push(delivered.len()),
                    Stop::Reset(stream) => panic!("a reset of {stream}"),
                    Stop::End | Stop::Incomplete => break,
                }
            }
        }
        assert!(held.is_empty());
        assert_eq!(wire.shared().is_open(), goaways.is_empty());
        (delivered, goaways)
    }

    #[test]
    fn bytes_are_delivered_whatever_the_pieces() {
        let (empty, end) = (frame(DATA, 0, 0), frame(DATA, frame::END_STREAM, 0));
        let rows = [
            ("plain", vec![frame(SETTINGS, 0, 12), frame(DATA, 0, 300), frame(HEADERS, 5, 20)], vec![], 0),
            ("empty", vec![empty.clone(), frame(DATA, 0, 9), empty.clone(), empty.clone(), end], vec![], 3),
            ("GOAWAY alone", vec![frame(GOAWAY, 0, 8)], vec![17], 0),
            ("GOAWAY", vec![frame(SETTINGS, 0, 0), frame(GOAWAY, 0, 30), frame(6, 0, 8)], vec![48], 0),
            ("two", vec![frame(GOAWAY, 0, 8), empty, frame(GOAWAY, 0, 8)], vec![17, 34], 1),
        ];
        for (name, frames, goaways, dropped) in rows {
            let bytes = frames.concat();
            let expected: Vec<u8> =
                frames.iter().filter(|bytes| **bytes != frame(DATA, 0, 0)).flatten().copied().collect();
            assert_eq!(expected.len() + 9 * dropped, bytes.len(), "{name}");
            for piece in 1..60 {
                let (delivered, found) = deliver(&bytes, piece);
                assert_eq!(delivered, expected, "{name}, pieces of {piece}");
                assert_eq!(found, goaways, "{name}, pieces of {piece}");
            }
        }
    }
}
