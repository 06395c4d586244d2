//! Returns flow-control window for frames that h2 does not see.

use std::collections::HashMap;

use super::frame;

/// The window that dropped frames have used, of the connection and of streams, and the WINDOW_UPDATE frames that return it.
#[derive(Debug)]
pub(super) struct Grants {
    /// The bytes to return, by stream; 0 is the connection.
    owed: HashMap<u32, u32>,
    /// This many bytes are returned at once.
    threshold: u32,
    /// Frames that are not written yet.
    frames: Vec<u8>,
}

impl Grants {
    pub(super) fn new(stream_window: u32) -> Self {
        let threshold = (stream_window / 4).clamp(1, MAX_THRESHOLD);
        Self { owed: HashMap::new(), threshold, frames: Vec::new() }
    }

    /// Adds bytes to return to the window of a stream; 0 is the connection.
    pub(super) fn owe(&mut self, stream: u32, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let owed = self.owed.entry(stream).or_default();
        // A frame has less than 2^24 bytes.
        *owed += bytes as u32;
        if *owed >= self.threshold {
            self.frames.extend_from_slice(&[0, 0, 4, frame::WINDOW_UPDATE, 0]);
            self.frames.extend_from_slice(&stream.to_be_bytes());
            self.frames.extend_from_slice(&owed.to_be_bytes());
            self.owed.remove(&stream);
        }
    }

    /// The stream has ended.
    pub(super) fn forget(&mut self, stream: u32) {
        self.owed.remove(&stream);
    }

    /// The frames to write, without the part that was [written](Self::on_written).
    pub(super) fn frames(&self) -> &[u8] {
        &self.frames
    }

    pub(super) fn on_written(&mut self, bytes: usize) {
        self.frames.drain(..bytes.min(self.frames.len()));
    }
}

const MAX_THRESHOLD: u32 = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_owed_is_given_back_in_frames_of_some_size() {
        let mut grants = Grants::new(400);
        for _ in 0..3 {
            grants.owe(5, 33);
        }
        assert!(grants.frames().is_empty());
        grants.owe(5, 1);
        grants.owe(0, 1_000);
        let expected = [[0, 0, 4, 8, 0, 0, 0, 0, 5, 0, 0, 0, 100], [0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 3, 232]];
        assert_eq!(grants.frames(), expected.concat());
        grants.on_written(20);
        assert_eq!(grants.frames(), &expected[1][7..]);
        grants.on_written(6);
        grants.owe(5, 99);
        grants.forget(5);
        grants.owe(5, 99);
        assert!(grants.frames().is_empty());
    }
}
