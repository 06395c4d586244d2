//! The balancer of a priority whose endpoints are not known yet.

use std::sync::Arc;
use std::time::Instant;

use rand::Rng;

use crate::policy::lb::picker::Waiting;
use crate::policy::lb::{Balancer, Command, Connectivity, EndpointId, LbUpdate, Picker};

/// Makes calls wait until the endpoints are known. Meanwhile the priority's failover timer runs.
#[derive(Debug, Default)]
pub(super) struct Undiscovered {
    is_published: bool,
}

impl Balancer for Undiscovered {
    fn update(&mut self, _now: Instant, _update: LbUpdate, _rng: &mut dyn Rng) {}

    fn on_connectivity(&mut self, _: Instant, _: EndpointId, _: Connectivity, _: &mut dyn Rng) {}

    fn exit_idle(&mut self, _now: Instant, _rng: &mut dyn Rng) {}

    fn connectivity(&self) -> Connectivity {
        Connectivity::Connecting
    }

    fn next_deadline(&self) -> Option<Instant> {
        None
    }

    fn on_deadline(&mut self, _now: Instant, _rng: &mut dyn Rng) {}

    fn poll_command(&mut self) -> Option<Command> {
        None
    }

    fn poll_picker(&mut self) -> Option<(Connectivity, Arc<dyn Picker>)> {
        let is_new = !std::mem::replace(&mut self.is_published, true);
        is_new.then(|| (Connectivity::Connecting, Arc::new(Waiting) as Arc<dyn Picker>))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::lb::UniformPick;
    use crate::policy::lb::connectivity::Phase;

    #[test]
    fn picker_that_makes_calls_wait_is_published_once() {
        let mut balancer = Undiscovered::default();
        let (state, picker) = balancer.poll_picker().unwrap();
        assert_eq!((state.phase(), picker.uniform()), (Phase::Connecting, Some(UniformPick::Wait)));
        assert!(balancer.poll_picker().is_none());
    }
}
