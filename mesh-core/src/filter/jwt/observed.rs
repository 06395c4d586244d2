//! What an operator sees of tokens: counters, and a line in the log for each refused call.

use std::net::SocketAddr;

use crate::config::Name;
use crate::counters::{Counter, TOKENS};
use crate::filter::FilterContext;
use crate::policy::jwt::JwtError;

/// Counts what the filter decides.
#[derive(Debug)]
pub(super) struct Observed {
    context: FilterContext,
    filter: Name,
    accepted: Counter,
}

impl Observed {
    pub(super) fn new(context: &FilterContext) -> Self {
        let filter = Name::from(context.name());
        let accepted = context.counter(&TOKENS, [filter.clone(), "accepted".into()]);
        Self { context: context.clone(), filter, accepted }
    }

    pub(super) fn accepted(&self) {
        self.accepted.increment();
    }

    /// The token is not in the log: it may still be good for other servers.
    pub(super) fn refused(&self, error: JwtError, path: &str, remote: Option<SocketAddr>) {
        self.context.counter(&TOKENS, [self.filter.clone(), error.label().into()]).increment();
        let filter = &*self.filter;
        tracing::info!(filter, path, ?remote, reason = %error, "call refused for its token");
    }
}
