//! State of the world: requests name everything.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use mesh_core::config::Name;

use crate::protocol::request::{Interest, Request};

use super::{Desk, Places};

/// What the state-of-the-world protocol remembers of one type.
#[derive(Debug, Default)]
pub(super) struct Sotw {
    /// The last accepted one; survives the stream (TR-04), unless it says too much: a server that goes by it says
    /// nothing to a stream that begins with the one that it has.
    version: String,
    /// The last response was not taken in full: it was refused, though what is good in it is in use, or something that
    /// it says did not count.
    partial: bool,
    /// The last received one; of this stream (TR-04).
    nonce: String,
    /// The names differ from those last sent.
    changed: bool,
    answers: VecDeque<Answer>,
    /// When a request of this stream first left a name out, for a while. The server ignores a request that crosses
    /// one of its responses, so it may have missed that the name went, and thus that it came back.
    left_out: BTreeMap<Name, Instant>,
    /// Left out and named again under one nonce: the server may have missed both, and believe that we have it. With
    /// how often it is still left out of an answer for that: a server that answers each request with a response that
    /// does not hold it must not keep us at it.
    doubtful: BTreeMap<Name, u8>,
}

/// An ACK or a NACK that is due.
#[derive(Debug)]
struct Answer {
    version: String,
    nonce: String,
    error: Option<String>,
    /// Leaves doubtful names out, so that the server sees them come back in the request after it.
    without_doubtful: bool,
}

impl Sotw {
    pub(super) fn on_want(&mut self, name: &Name) {
        self.changed = true;
        if self.left_out.contains_key(name) {
            self.doubtful.insert(name.clone(), MAX_TRIES);
        }
    }

    pub(super) fn on_unwant(&mut self, asked: bool) {
        self.changed |= asked;
    }

    pub(super) fn on_settled(&mut self, name: &Name) {
        self.doubtful.remove(name);
    }

    pub(super) fn on_stream_reset(&mut self, is_wanted: bool) {
        if std::mem::take(&mut self.partial) {
            self.version.clear();
        }
        self.nonce.clear();
        self.answers.clear();
        self.left_out.clear();
        self.doubtful.clear();
        // TR-10
        self.changed = is_wanted;
    }

    pub(super) fn on_ignored(&mut self) {
        self.partial = true;
    }

    /// The next response is to hold everything.
    pub(super) fn forget_version(&mut self) {
        self.version.clear();
    }

    #[cfg(test)]
    pub(super) fn footprint(&self) -> usize {
        self.answers.len() + self.left_out.len() + self.doubtful.len()
    }

    pub(super) fn has_request(&self) -> bool {
        self.changed || !self.answers.is_empty()
    }

    pub(super) fn request(
        &mut self,
        type_url: &'static str,
        places: &Places,
        gone: &[Name],
        desk: &Desk<'_>,
    ) -> Request {
        let (version, nonce, error, without_doubtful) = match self.answers.pop_front() {
            Some(answer) => (answer.version, answer.nonce, answer.error, answer.without_doubtful),
            None => (self.version.clone(), self.nonce.clone(), None, false),
        };
        self.left_out.retain(|_, since| *since + desk.timeout > desk.now);
        self.left_out.extend(gone.iter().map(|name| (name.clone(), desk.now)));
        // TR-09: the whole set, here or in the request after it.
        let names = places.keys().filter(|name| !(without_doubtful && self.doubtful.contains_key(*name)));
        let names = names.cloned().collect();
        if without_doubtful {
            self.doubtful.retain(|_, tries| {
                *tries = tries.saturating_sub(1);
                *tries > 0
            });
        }
        self.changed = without_doubtful;
        let interest = Interest::Full { names, version };
        Request { type_url, nonce, error, with_node: false, interest }
    }

    pub(super) fn answer(&mut self, version: String, nonce: String, error: Option<String>) {
        self.partial = error.is_some();
        if error.is_none() {
            // TR-05; TR-13: not advanced by a NACK.
            self.version = version;
        }
        self.nonce.clone_from(&nonce);
        let without_doubtful = !self.doubtful.is_empty();
        self.answers.push_back(Answer { version: self.version.clone(), nonce, error, without_doubtful });
    }
}

/// Answers that a doubtful name is left out of. Each may have crossed another response: on a slow line to a busy server
/// four in a row did, once in six thousand simulated conversations.
const MAX_TRIES: u8 = 16;
