//! Incremental: requests name changes only.

use std::collections::{BTreeSet, VecDeque};

use mesh_core::config::Name;

use crate::protocol::request::{Interest, Request};

use super::{NameStates, RequestContext};

/// The state of the incremental protocol for one type.
#[derive(Debug, Default)]
pub(super) struct Delta {
    /// Watched, and not sent yet.
    subscribe: BTreeSet<Name>,
    /// Not watched any more, and not sent yet.
    unsubscribe: BTreeSet<Name>,
    answers: VecDeque<Answer>,
}

/// An ACK or a NACK that has to be sent.
#[derive(Debug)]
struct Answer {
    nonce: String,
    error: Option<String>,
}

impl Delta {
    pub(super) fn on_want(&mut self, name: &Name) {
        self.subscribe.insert(name.clone());
    }

    pub(super) fn on_return(&mut self, name: &Name) {
        self.unsubscribe.remove(name);
    }

    /// Whether no request has named it yet.
    pub(super) fn is_untold(&self, name: &Name) -> bool {
        self.subscribe.contains(name)
    }

    pub(super) fn on_unwant(&mut self, name: &Name, asked: bool) {
        if !self.subscribe.remove(name) && asked {
            self.unsubscribe.insert(name.clone());
        }
    }

    pub(super) fn on_stream_reset(&mut self) {
        *self = Self::default();
    }

    #[cfg(test)]
    pub(super) fn footprint(&self) -> usize {
        self.answers.len() + self.subscribe.len() + self.unsubscribe.len()
    }

    pub(super) fn has_answer(&self) -> bool {
        !self.answers.is_empty()
    }

    pub(super) fn has_change(&self) -> bool {
        !self.subscribe.is_empty() || !self.unsubscribe.is_empty()
    }

    /// TR-49: all watched names, and the versions of cached resources.
    pub(super) fn first_request(
        &mut self,
        type_url: &'static str,
        states: &NameStates,
        context: &RequestContext<'_>,
    ) -> Request {
        self.subscribe = states.keys().cloned().collect();
        self.unsubscribe.clear();
        self.make(type_url, (context.versions)())
    }

    // TR-50
    pub(super) fn request(&mut self, type_url: &'static str) -> Request {
        self.make(type_url, Vec::new())
    }

    fn make(&mut self, type_url: &'static str, initial_versions: Vec<(Name, Name)>) -> Request {
        // TR-51: a request that is no answer has no nonce.
        let (nonce, error) = match self.answers.pop_front() {
            Some(answer) => (answer.nonce, answer.error),
            None => (String::new(), None),
        };
        let subscribe = std::mem::take(&mut self.subscribe).into_iter().collect();
        let unsubscribe = std::mem::take(&mut self.unsubscribe).into_iter().collect();
        let interest = Interest::Change { subscribe, unsubscribe, initial_versions };
        Request { type_url, nonce, error, with_node: false, interest }
    }

    pub(super) fn answer(&mut self, nonce: String, error: Option<String>) {
        self.answers.push_back(Answer { nonce, error });
    }
}
