//! The settings of external authorization.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};

use crate::config::Name;
use crate::policy::matcher::{Fraction, MetadataMatcher, StringMatcher};

use super::{CheckService, MutationRules};

/// Configuration of external authorization: who is asked, and what happens to calls about which there is no answer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ExtAuthzConfig {
    /// Who is asked.
    pub service: Arc<dyn CheckService>,
    /// How long a call waits for the answer. 200 ms by default.
    pub timeout: Duration,
    /// What happens to a call without an answer. It is refused, by default.
    pub on_failure: OnFailure,
    /// The status of calls that are refused because there is no answer, or while the filter is off. 403 by default.
    pub status_on_error: StatusCode,
    /// The share of calls about which the service is asked. All by default.
    pub enabled: Fraction,
    /// Only about calls that match is the service asked; `None`: about all. Of these, `enabled` is a share.
    pub only: Option<MetadataMatcher>,
    /// Calls about which the service is not asked, because of `enabled` or `only`, are refused.
    pub deny_at_disable: bool,
    /// Headers that the service sees; `None`: all.
    pub allowed_headers: Option<Vec<StringMatcher>>,
    /// Headers that the service does not see, even if they are allowed.
    pub disallowed_headers: Vec<StringMatcher>,
    /// Which headers the service may change.
    pub mutation_rules: MutationRules,
    /// How many calls of this filter wait for answers at once; a further one has no answer. 1,024 by default.
    pub max_in_flight: NonZeroUsize,
}

/// What happens to a call about which there is no answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnFailure {
    /// It is refused.
    #[default]
    Deny,
    /// It goes on.
    Allow,
    /// It goes on with the header `x-envoy-auth-failure-mode-allowed: true`. Callers cannot set that header themselves.
    AllowAndMark,
}

/// What a virtual host, a route or a weighted cluster says of external authorization.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExtAuthzOverride {
    /// Calls there pass without a check.
    Disabled,
    /// The service is told these as well; they come before those of less specific parts of the routes.
    ContextExtensions(BTreeMap<Name, Name>),
}

impl ExtAuthzConfig {
    /// Asks this service about every call, and refuses calls without an answer.
    pub fn new(service: impl CheckService) -> Self {
        Self::of(Arc::new(service))
    }

    /// The same with a service that others share.
    pub fn of(service: Arc<dyn CheckService>) -> Self {
        Self {
            service,
            timeout: TIMEOUT,
            on_failure: OnFailure::Deny,
            status_on_error: StatusCode::FORBIDDEN,
            enabled: Fraction::ALL,
            only: None,
            deny_at_disable: false,
            allowed_headers: None,
            disallowed_headers: Vec::new(),
            mutation_rules: MutationRules::default(),
            max_in_flight: MAX_IN_FLIGHT,
        }
    }

    /// The headers that the service sees.
    // HF-32
    pub(super) fn visible(&self, headers: &HeaderMap) -> HeaderMap {
        let is_in = |list: &[StringMatcher], name: &str| list.iter().any(|matcher| matcher.matches(name));
        let is_visible = |name: &str| {
            !is_in(&self.disallowed_headers, name)
                && self.allowed_headers.as_ref().is_none_or(|allowed| is_in(allowed, name))
        };
        let visible = headers.iter().filter(|(name, _)| is_visible(name.as_str()));
        visible.map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

impl PartialEq for ExtAuthzConfig {
    fn eq(&self, other: &Self) -> bool {
        let is_same_service = std::ptr::addr_eq(Arc::as_ptr(&self.service), Arc::as_ptr(&other.service))
            || self.service.is_equal(&*other.service);
        is_same_service
            && self.timeout == other.timeout
            && self.on_failure == other.on_failure
            && self.status_on_error == other.status_on_error
            && self.enabled == other.enabled
            && self.only == other.only
            && self.deny_at_disable == other.deny_at_disable
            && self.allowed_headers == other.allowed_headers
            && self.disallowed_headers == other.disallowed_headers
            && self.mutation_rules == other.mutation_rules
            && self.max_in_flight == other.max_in_flight
    }
}

pub(super) const TIMEOUT: Duration = Duration::from_millis(200);

const MAX_IN_FLIGHT: NonZeroUsize = NonZeroUsize::new(1024).expect("1,024 is not zero");
