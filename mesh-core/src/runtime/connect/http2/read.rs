//! The data that has been read from a request's body.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::runtime::ReplayRoom;

/// The data that has been read from the body, which is put back if the endpoint does not process the call.
///
/// The last chunk takes no room while a part of it is unsent: until then it is in memory anyway.
pub(super) enum Read {
    Nothing,
    Chunk(Bytes),
    Chunks(VecDeque<Bytes>),
    /// The data exceeded its room and was dropped.
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

    /// Drops the data: it will not be put back.
    pub(super) fn release(&mut self, room: &mut ReplayRoom) {
        *self = Self::Gone;
        *room = ReplayRoom::default();
    }

    /// All data that has been read; `None` if some was dropped.
    pub(super) fn into_chunks(self) -> Option<VecDeque<Bytes>> {
        match self {
            Self::Nothing => Some(VecDeque::new()),
            Self::Chunk(chunk) => Some(VecDeque::from([chunk])),
            Self::Chunks(chunks) => Some(chunks),
            Self::Gone => None,
        }
    }
}
