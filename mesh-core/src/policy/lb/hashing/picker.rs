//! Picks the endpoint of a hash.

use std::sync::{Arc, OnceLock};

use rand::Rng;

use crate::policy::lb::connectivity::Phase;
use crate::policy::lb::members::Members;
use crate::policy::lb::picker::no_endpoint;
use crate::policy::lb::{EndpointId, Pick, PickContext, Picker, UniformPick};

use super::ring::Ring;

/// Picks the endpoint of a hash, by the states of endpoints when the picker was made.
#[derive(Debug)]
pub(super) struct RingPicker {
    ring: Arc<Ring>,
    endpoints: Box<[(EndpointId, Phase)]>,
    /// The last error of each endpoint; empty while none has failed.
    errors: Box<[Option<Arc<str>>]>,
    /// The texts with which calls fail, by their first endpoint; each is made for the first such call.
    failures: Box<[OnceLock<Arc<str>>]>,
    is_all_failed: bool,
    note: Option<Arc<str>>,
}

impl RingPicker {
    pub(super) fn new(ring: Arc<Ring>, members: &Members, note: Option<Arc<str>>) -> Self {
        let failed = members.counts().of(Phase::Failed);
        let list = members.list();
        let errors = if failed == 0 { &[] } else { list };
        Self {
            ring,
            endpoints: list.iter().map(|member| (member.endpoint.id, member.counted)).collect(),
            errors: errors.iter().map(|member| member.error.clone()).collect(),
            failures: errors.iter().map(|_| OnceLock::new()).collect(),
            is_all_failed: failed == list.len(),
            note,
        }
    }

    fn fail(&self, first: Option<usize>) -> Pick {
        let error = || first.and_then(|first| self.errors.get(first)?.as_deref());
        let text = || no_endpoint(error(), self.note.as_deref());
        Pick::Fail(match first.and_then(|first| self.failures.get(first)) {
            Some(failure) => failure.get_or_init(text).clone(),
            None => text(),
        })
    }
}

impl Picker for RingPicker {
    /// LB-39: the first endpoint after the hash that has not failed.
    fn pick(&self, context: &PickContext<'_>, rng: &mut dyn Rng) -> Pick {
        // RT-73: without a hash, a random one
        let hash = context.hash.unwrap_or_else(|| rng.next_u64());
        let first = self.ring.walk(hash).next();
        if self.is_all_failed {
            return self.fail(first);
        }
        for at in self.ring.walk(hash) {
            match self.endpoints[at] {
                (id, Phase::Ready) => return Pick::Endpoint(id),
                (id, Phase::Idle) => return Pick::Wait(Some(id)),
                (_, Phase::Connecting) => return Pick::Wait(None),
                (_, Phase::Failed) => {}
            }
        }
        self.fail(first)
    }

    fn uniform(&self) -> Option<UniformPick> {
        self.is_all_failed.then_some(UniformPick::Fail)
    }
}
