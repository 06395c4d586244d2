//! Retries of calls that no server has seen.

/// One call's retries that need no policy and count against none (RT-45).
#[derive(Debug, Clone, Copy, Default)]
pub struct Transparent {
    refused: bool,
}

impl Transparent {
    /// The request never left this process: always another attempt, until the deadline.
    pub fn on_unsent(self) -> bool {
        true
    }

    /// The server has said that it did not process the request (REFUSED_STREAM, or GOAWAY below the stream's id):
    /// another attempt, at once, but only the first time.
    pub fn on_refused(&mut self) -> bool {
        !std::mem::replace(&mut self.refused, true)
    }
}
