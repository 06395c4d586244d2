//! Fault injection (gRFC A33): [`FaultPolicy`] decides, this filter waits and replies.

use std::sync::Arc;

use http::request;

use crate::policy::fault::{AbortStatus, ActiveFaults, FaultPolicy, Faults};

use super::{
    BuildError, FilterCall, FilterConfig, FilterContext, HttpFilter, LocalReply, LocalStatus, Overrides,
    RequestAction, Resume, Stages,
};

impl FilterConfig for FaultPolicy {
    fn build(
        &self,
        overrides: Overrides<'_>,
        context: &FilterContext,
    ) -> Result<Option<Arc<dyn HttpFilter>>, BuildError> {
        // HF-03: the override takes the place of everything
        let policy = overrides.most_specific::<Self>()?.unwrap_or(self);
        let filter = || Fault { policy: policy.clone(), active: context.mesh_state(ActiveFaults::default) };
        Ok(policy.can_fire().then(|| Arc::new(filter()) as _))
    }
}

/// Delays and aborts calls.
#[derive(Debug)]
struct Fault {
    policy: FaultPolicy,
    active: Arc<ActiveFaults>,
}

impl HttpFilter for Fault {
    fn stages(&self) -> Stages {
        Stages::REQUEST
    }

    fn on_request(&self, head: &mut request::Parts, call: &mut FilterCall<'_>) -> RequestAction {
        let faults = self.policy.decide(&head.headers, call.rng());
        if faults.is_none() {
            return RequestAction::Continue;
        }
        // HF-15
        let Some(active) = self.active.begin(self.policy.max_active_faults) else {
            return RequestAction::Continue;
        };
        match faults {
            Faults { delay: Some(delay), abort } => RequestAction::wait(async move {
                // HF-11: a call that is cancelled drops this, and with it the place that the fault took
                tokio::time::sleep(delay).await;
                drop(active);
                abort.map_or(Resume::Continue, |status| Resume::Reply(reply(status)))
            }),
            Faults { delay: None, abort: Some(status) } => RequestAction::Reply(reply(status)),
            Faults { delay: None, abort: None } => RequestAction::Continue,
        }
    }
}

fn reply(status: AbortStatus) -> LocalReply {
    let status = match status {
        AbortStatus::Http(status) => LocalStatus::Http(status),
        AbortStatus::Grpc(code) => LocalStatus::Grpc(code),
    };
    LocalReply::new(status, "aborted by fault injection")
}
