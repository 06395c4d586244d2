//! What has been read of a request's body.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::runtime::ReplayRoom;

/// What has been read of the body, to be put back if the endpoint does not process the call.
///
/// The last chunk needs no room as long as some of it is held: until then it is in memory anyway.
pub(super) enum Read {
    Nothing,
    Chunk(Bytes),
    Chunks(VecDeque<Bytes>),
    /// More than may be kept.
    Gone,
}

impl Read {
    /// A chunk has been read.
    pub(super) fn note(&mut self, data: &Bytes) {
        match self {
            Self::Nothing => *self = Self::Chunk(data.clone()),
            Self::Chunk(first) => {
                *self = Self::Chunks(VecDeque::from([std::mem::take(first), data.clone()]));
            }
            Self::Chunks(chunks) => chunks.push_back(data.clone()),
            Self::Gone => {}
        }
    }

    /// All of the last chunk has been sent: from now on it takes room (RT-43).
    pub(super) fn on_sent(&mut self, room: &mut ReplayRoom) {
        let last = match self {
            Self::Chunk(chunk) => Some(&*chunk),
            Self::Chunks(chunks) => chunks.back(),
            Self::Nothing | Self::Gone => None,
        };
        if let Some(last) = last
            && !room.take(last.len())
        {
            self.release(room);
        }
    }

    /// Nothing is put back any more.
    pub(super) fn release(&mut self, room: &mut ReplayRoom) {
        *self = Self::Gone;
        *room = ReplayRoom::default();
    }

    /// All that has been read; `None` if it is gone.
    pub(super) fn into_chunks(self) -> Option<VecDeque<Bytes>> {
        match self {
            Self::Nothing => Some(VecDeque::new()),
            Self::Chunk(chunk) => Some(VecDeque::from([chunk])),
            Self::Chunks(chunks) => Some(chunks),
            Self::Gone => None,
        }
    }
}
