//! State of the world: each request names all resources.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use mesh_core::config::Name;

use crate::protocol::request::{Interest, Request};

use super::{NameStates, RequestContext};

/// The state of the state-of-the-world protocol for one type.
#[derive(Debug, Default)]
pub(super) struct Sotw {
    /// The last accepted version. The next stream sends it (TR-04) unless resources are missing: a server that compares
    /// versions sends nothing on a stream that begins with its current one.
    version: String,
    /// A part of the last response was not used: it was refused, although its valid resources are in use, or came from a
    /// server that the authority does not use.
    partial: bool,
    /// The last received nonce of this stream (TR-04).
    nonce: String,
    /// The names differ from those last sent.
    changed: bool,
    answers: VecDeque<Answer>,
    /// When a request of this stream first omitted a name; kept for a while. The server ignores a request that crosses
    /// one of its responses, so it may not have seen that the name was omitted and is back.
    left_out: BTreeMap<Name, Instant>,
    /// Names that were omitted and sent again under one nonce: the server may have missed both, and believe that the client
    /// has them. With the number of answers that will still omit them: it is bounded, because a server may respond to each
    /// request without sending the resource.
    doubtful: BTreeMap<Name, u8>,
}

/// An ACK or a NACK that has to be sent.
#[derive(Debug)]
struct Answer {
    version: String,
    nonce: String,
    error: Option<String>,
    /// Omits doubtful names, so that the server sees them return in the request after it.
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

    /// The next response has to hold all resources.
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
        states: &NameStates,
        gone: &[Name],
        context: &RequestContext<'_>,
    ) -> Request {
        let (version, nonce, error, without_doubtful) = match self.answers.pop_front() {
            Some(answer) => (answer.version, answer.nonce, answer.error, answer.without_doubtful),
            None => (self.version.clone(), self.nonce.clone(), None, false),
        };
        self.left_out.retain(|_, since| *since + context.timeout > context.now);
        self.left_out.extend(gone.iter().map(|name| (name.clone(), context.now)));
        // TR-09: all names, here or in the request after it.
        let names = states.keys().filter(|name| !(without_doubtful && self.doubtful.contains_key(*name)));
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

/// The number of answers that omit a doubtful name. Each may have crossed another response: on a slow connection to a busy
/// server four in a row did, once in six thousand simulated conversations.
const MAX_TRIES: u8 = 16;
