//! External authorization: a service outside of the process decides about each call (gRFC A92).
//!
//! Works on clients and servers. A call about which there is no answer is refused, unless the configuration says otherwise: the service
//! has failed, its answer is late or invalid, or too many calls wait already.

mod config;
mod mutation_rules;
mod service;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use http::{HeaderName, HeaderValue, StatusCode, request, response};

use crate::config::{HeaderMutation, Name};
use crate::counters::{Counter, EXTERNAL_CHECKS};
use crate::policy::header_mutation;

use super::{
    BuildError, FilterCall, FilterConfig, FilterContext, HttpFilter, LocalReply, Overrides, RequestAction,
    Resume, Stages,
};

pub use config::{ExtAuthzConfig, ExtAuthzOverride, OnFailure};
pub use mutation_rules::MutationRules;
pub use service::{CheckAnswer, CheckError, CheckFuture, CheckRequest, CheckService};

impl FilterConfig for ExtAuthzConfig {
    fn build(
        &self,
        overrides: Overrides<'_>,
        context: &FilterContext,
    ) -> Result<Option<Arc<dyn HttpFilter>>, BuildError> {
        let levels = overrides.all::<ExtAuthzOverride>()?;
        if levels.first().is_some_and(|most_specific| **most_specific == ExtAuthzOverride::Disabled) {
            return Ok(None);
        }
        let mut extensions = BTreeMap::new();
        for level in levels.into_iter().rev() {
            if let ExtAuthzOverride::ContextExtensions(own) = level {
                extensions.extend(own.clone());
            }
        }
        let (name, in_flight) = (context.name().into(), context.state(InFlight::default));
        let shared = Shared { config: self.clone(), name, counts: Counts::new(context), in_flight };
        Ok(Some(Arc::new(ExtAuthz { shared: Arc::new(shared), extensions })))
    }
}

/// Asks about calls.
#[derive(Debug)]
struct ExtAuthz {
    shared: Arc<Shared>,
    extensions: BTreeMap<Name, Name>,
}

/// What outlives the filter in calls that wait.
#[derive(Debug)]
struct Shared {
    config: ExtAuthzConfig,
    name: Name,
    counts: Counts,
    in_flight: Arc<InFlight>,
}

/// Changes of the response that the answer asks for; set before the response comes.
#[derive(Debug, Clone, Default)]
struct ResponseChanges(Arc<OnceLock<Vec<HeaderMutation>>>);

impl HttpFilter for ExtAuthz {
    fn stages(&self) -> Stages {
        Stages::REQUEST | Stages::RESPONSE
    }

    fn on_request(&self, head: &mut request::Parts, call: &mut FilterCall<'_>) -> RequestAction {
        let Shared { config, counts, in_flight, .. } = &*self.shared;
        // HF-31: only this filter says so
        if config.on_failure == OnFailure::AllowAndMark {
            head.headers.remove(FAILURE_ALLOWED);
        }
        // HF-30
        let is_meant = config.only.as_ref().is_none_or(|only| only.matches(head.extensions.get()));
        if !is_meant || !call.draw(config.enabled) {
            counts.unchecked.increment();
            return match config.deny_at_disable {
                true => RequestAction::Reply(self.shared.refusal()),
                false => RequestAction::Continue,
            };
        }
        let Some(place) = in_flight.enter(config.max_in_flight.get()) else {
            return match self.shared.failed("too many calls wait for answers") {
                Resume::Continue => RequestAction::Continue,
                Resume::Reply(reply) => RequestAction::Reply(reply),
                Resume::Change(change) => {
                    change(head);
                    RequestAction::Continue
                }
            };
        };
        let (shared, asked) = (self.shared.clone(), self.request(head, call));
        let changes = ResponseChanges::default();
        call.state().insert(changes.clone());
        RequestAction::wait(async move {
            let answer =
                tokio::time::timeout(shared.config.timeout, shared.config.service.check(asked)).await;
            drop(place);
            match answer {
                Ok(Ok(answer)) => shared.answer(answer, &changes),
                Ok(Err(error)) => shared.failed(&error.to_string()),
                Err(_) => shared.failed("its answer is late"),
            }
        })
    }

    fn on_response(&self, head: &mut response::Parts, call: &mut FilterCall<'_>) {
        let changes = call.state().remove::<ResponseChanges>();
        if let Some(mutations) = changes.as_ref().and_then(|changes| changes.0.get()) {
            header_mutation::apply(mutations, &mut head.headers);
        }
    }
}

impl ExtAuthz {
    fn request(&self, head: &request::Parts, call: &FilterCall<'_>) -> CheckRequest {
        let config = &self.shared.config;
        let authority = match call.peer() {
            Some(_) => head.uri.authority().map_or_else(|| call.authority(), |authority| authority.as_str()),
            None => call.authority(),
        };
        CheckRequest {
            method: head.method.clone(),
            scheme: head.uri.scheme_str().unwrap_or_default().to_owned(),
            path: head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            authority: authority.to_owned(),
            headers: config.visible(&head.headers),
            peer: call.peer().cloned(),
            context_extensions: self.extensions.clone(),
            timeout: config.timeout,
        }
    }
}

impl Shared {
    fn answer(&self, answer: CheckAnswer, changes: &ResponseChanges) -> Resume {
        let rules = &self.config.mutation_rules;
        match answer {
            CheckAnswer::Allowed { request, response } => {
                let (Ok(request), Ok(response)) = (rules.filter(request), rules.filter(response)) else {
                    return self.invalid();
                };
                self.counts.allowed.increment();
                _ = changes.0.set(response);
                match request.is_empty() {
                    true => Resume::Continue,
                    false => Resume::change(move |head| header_mutation::apply(&request, &mut head.headers)),
                }
            }
            CheckAnswer::Denied { status, message, headers } => {
                let Ok(headers) = rules.filter(headers) else { return self.invalid() };
                self.counts.denied.increment();
                let is_refusal = !status.is_success() && !status.is_informational();
                let status = if is_refusal { status } else { StatusCode::FORBIDDEN };
                let mut reply = LocalReply::http(status, message);
                header_mutation::apply(&headers, &mut reply.headers);
                Resume::Reply(reply)
            }
        }
    }

    /// SEC-11: an answer that breaks the rules is not half an answer; it does not count as a failure that lets calls pass.
    fn invalid(&self) -> Resume {
        self.counts.invalid.increment();
        tracing::warn!(
            filter = &*self.name,
            "call failed: external authorization changes a header that it may not change"
        );
        Resume::Reply(LocalReply::http(StatusCode::INTERNAL_SERVER_ERROR, "external authorization failed"))
    }

    /// HF-31
    fn failed(&self, reason: &str) -> Resume {
        let filter = &*self.name;
        if self.config.on_failure == OnFailure::Deny {
            self.counts.failed.increment();
            tracing::warn!(filter, reason, "call refused: external authorization does not answer");
            return Resume::Reply(self.refusal());
        }
        self.counts.failed_open.increment();
        tracing::warn!(filter, reason, "call allowed although external authorization does not answer");
        match self.config.on_failure {
            OnFailure::AllowAndMark => Resume::change(|head| {
                head.headers.insert(FAILURE_ALLOWED, HeaderValue::from_static("true"));
            }),
            _ => Resume::Continue,
        }
    }

    fn refusal(&self) -> LocalReply {
        LocalReply::http(self.config.status_on_error, "access denied")
    }
}

/// How many calls of a filter wait for answers; survives updates.
#[derive(Debug, Default)]
struct InFlight(AtomicUsize);

/// One call that waits.
#[derive(Debug)]
struct Waiting(Arc<InFlight>);

impl InFlight {
    fn enter(self: &Arc<Self>, max: usize) -> Option<Waiting> {
        // The guard gives the place back, also when there was none left.
        let waiting = Waiting(self.clone());
        (self.0.fetch_add(1, Ordering::Relaxed) < max).then_some(waiting)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Calls by their results.
#[derive(Debug)]
struct Counts {
    allowed: Counter,
    denied: Counter,
    failed: Counter,
    failed_open: Counter,
    invalid: Counter,
    unchecked: Counter,
}

impl Counts {
    fn new(context: &FilterContext) -> Self {
        let counter =
            |result: &str| context.counter(&EXTERNAL_CHECKS, [Name::from(context.name()), result.into()]);
        Self {
            allowed: counter("allowed"),
            denied: counter("denied"),
            failed: counter("failed"),
            failed_open: counter("failed_open"),
            invalid: counter("invalid"),
            unchecked: counter("unchecked"),
        }
    }
}

const FAILURE_ALLOWED: HeaderName = HeaderName::from_static("x-envoy-auth-failure-mode-allowed");
