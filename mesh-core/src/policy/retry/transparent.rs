//! Retries of calls that no server has processed.

/// One call's transparent retries: they need no policy and do not count as its attempts (RT-45).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Transparent {
    refused: bool,
}

impl Transparent {
    /// The request never left this process: retry, until the deadline.
    pub(crate) fn on_unsent(self) -> bool {
        true
    }

    /// The server reported that it did not process the request (REFUSED_STREAM, or GOAWAY below the stream's id): retry at
    /// once, but only the first time.
    pub(crate) fn on_refused(&mut self) -> bool {
        !std::mem::replace(&mut self.refused, true)
    }
}
