//! A route: its matches and its action.

use std::time::Duration;

use super::balancing::HashKey;
use crate::kinds::cors::Cors;
use crate::kinds::header_changes::HeaderChanges;
use crate::kinds::session_persistence::Session;
use crate::kinds::virtual_service::Fault;
use crate::kinds::{ObjectId, Pattern};
use crate::yaml::FieldPath;

/// One route of a service's port.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Route {
    /// For texts; may be empty.
    pub(crate) name: String,
    pub(crate) matches: RouteMatch,
    pub(crate) action: Action,
    /// Limits the whole call, over all attempts.
    pub(crate) timeout: Option<Duration>,
    /// Limits each attempt of a call that is not retried; [`Retry`] has its own.
    pub(crate) attempt_timeout: Option<Duration>,
    pub(crate) retry: Option<Retry>,
    /// Which protocol the answers of a proxy itself are for.
    pub(crate) answers: Answers,
    pub(crate) fault: Option<Fault>,
    /// What keeps its calls with one endpoint.
    pub(crate) session: Option<Session>,
    /// Header changes of all its calls.
    pub(crate) headers: HeaderChanges,
    pub(crate) rewrite: Rewrite,
    /// Where copies of its calls go.
    pub(crate) mirrors: Vec<Mirror>,
    pub(crate) cors: Option<Cors>,
    /// What happens to its calls on clients that do not see all of its conditions, where there are such conditions.
    pub(crate) unseen: Option<Action>,
    /// The rule that it is made from; `None`: none, it is what is done without a rule.
    pub(crate) origin: Option<RouteOrigin>,
}

/// A rule of an object: the whole rule, or one of its matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RouteOrigin {
    pub(crate) object: ObjectId,
    pub(crate) field: FieldPath,
}

impl RouteOrigin {
    /// One of the rule's matches, which stand in this field of it.
    pub(super) fn of_match(&self, field: &'static str, index: usize) -> Self {
        Self { field: self.field.field(field).index(index), ..self.clone() }
    }
}

/// Which protocol the answers of a proxy itself are for, where it has to choose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Answers {
    #[default]
    Grpc,
    Http,
}

impl Route {
    /// A route without anything else.
    pub(crate) fn new(name: String, matches: RouteMatch, action: Action) -> Self {
        Self {
            name,
            matches,
            action,
            timeout: None,
            attempt_timeout: None,
            retry: None,
            answers: Answers::default(),
            fault: None,
            session: None,
            headers: HeaderChanges::default(),
            rewrite: Rewrite::default(),
            mirrors: Vec::new(),
            origin: None,
            cors: None,
            unseen: None,
        }
    }
}

/// What the endpoint sees instead of what the client has called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rewrite {
    pub(crate) path: Option<PathRewrite>,
    pub(crate) authority: Option<String>,
}

/// Another path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PathRewrite {
    /// In the place of what the route has matched.
    Matched(String),
    /// In the place of the whole path.
    Whole(String),
    /// In the place of every match of an expression.
    Regex { regex: String, substitution: String },
}

/// A cluster that gets copies of calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mirror {
    pub(crate) cluster: String,
    /// Of a million calls.
    pub(crate) share: u32,
}

/// All parts must match.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RouteMatch {
    pub(crate) path: PathMatch,
    pub(crate) headers: Vec<HeaderMatch>,
    pub(crate) query: Vec<QueryMatch>,
    pub(crate) method: Option<Pattern>,
    pub(crate) scheme: Option<Pattern>,
}

impl RouteMatch {
    pub(super) fn new(path: PathMatch, headers: Vec<HeaderMatch>) -> Self {
        Self { path, headers, query: Vec::new(), method: None, scheme: None }
    }

    /// Every call.
    pub(super) fn any() -> Self {
        Self::new(PathMatch::any(), Vec::new())
    }

    /// Whether it holds for no call of gRPC, which is POST and has no query.
    pub(crate) fn is_never_grpc(&self) -> bool {
        !self.query.is_empty() || self.method.as_ref().is_some_and(|method| !holds(method, "POST"))
    }

    /// Whether some clients do not see all of it.
    pub(super) fn may_be_unseen(&self) -> bool {
        self.is_never_grpc() || self.scheme.is_some()
    }
}

/// Whether a text has the pattern.
fn holds(pattern: &Pattern, text: &str) -> bool {
    match pattern {
        Pattern::Present => true,
        Pattern::Exact(wanted) => text == wanted,
        Pattern::Prefix(prefix) => text.starts_with(prefix),
        Pattern::Regex(regex) => {
            regex::Regex::new(&format!("^(?:{regex})$")).is_ok_and(|regex| regex.is_match(text))
        }
    }
}

/// Matches one parameter of the query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueryMatch {
    pub(crate) name: String,
    pub(crate) pattern: Pattern,
}

/// Matches the path `/package.Service/Method`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PathMatch {
    Exact { path: String, ignore_case: bool },
    Prefix { prefix: String, ignore_case: bool },
    Regex(String),
}

impl PathMatch {
    /// Every path.
    pub(crate) fn any() -> Self {
        Self::Prefix { prefix: "/".to_owned(), ignore_case: false }
    }
}

/// Matches one header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeaderMatch {
    /// In lower case.
    pub(crate) name: String,
    pub(crate) pattern: Pattern,
    /// The header must not match. As in clients (RT-13), a missing header fails this too, except where the
    /// pattern is [`Pattern::Present`].
    pub(crate) is_inverted: bool,
}

/// What happens to a call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// It goes to one of these clusters; at least one, each with a weight.
    Forward {
        shares: Vec<Share>,
        /// What chooses the endpoint, where a cluster balances by hash.
        hash_keys: Vec<HashKey>,
    },
    /// It fails on gRPC clients; a proxy answers with this status.
    Respond { status: u32, body: Option<Vec<u8>> },
    /// It fails on gRPC clients; a proxy answers with another place.
    Redirect(Redirect),
}

impl Action {
    /// Places the header changes of a rule. Changes that all calls have in common are returned, for the route;
    /// otherwise every share makes the rule's changes before its own, and the route has none: clients differ in
    /// which of the two they make first.
    pub(super) fn place_headers(&mut self, of_rule: HeaderChanges) -> HeaderChanges {
        let Self::Forward { shares, .. } = self else { return of_rule };
        for share in shares.iter_mut() {
            share.headers = of_rule.then(&share.headers);
        }
        let Some((first, others)) = shares.split_first() else { return of_rule };
        if others.iter().any(|share| share.headers != first.headers) {
            return HeaderChanges::default();
        }
        let common = first.headers.clone();
        shares.iter_mut().for_each(|share| share.headers = HeaderChanges::default());
        common
    }
}

/// Another place; empty parts stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Redirect {
    pub(crate) scheme: String,
    pub(crate) authority: String,
    pub(crate) port: Option<u32>,
    pub(crate) path: Option<PathRewrite>,
    pub(crate) status: u32,
}

/// A cluster's share of a route's calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) cluster: String,
    pub(crate) weight: u32,
    /// Header changes of its calls only.
    pub(crate) headers: HeaderChanges,
    /// Its calls fail, because what they are for is not there.
    pub(crate) is_missing: bool,
}

/// When a call is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Retry {
    /// At least one; excludes the first attempt.
    pub(crate) retries: u32,
    /// gRPC's names of status codes (RDS-16), and Envoy's of conditions; at least one.
    pub(crate) conditions: Vec<&'static str>,
    /// Statuses of HTTP that are retried.
    pub(crate) status_codes: Vec<u32>,
    /// Before the first retry.
    pub(crate) backoff: Option<Duration>,
    /// Of one attempt.
    pub(crate) per_try_timeout: Option<Duration>,
    /// A retry goes to an endpoint that the call has not tried.
    pub(crate) to_other_endpoints: bool,
    /// A retry may go to a priority that the call has not tried.
    pub(crate) to_other_priorities: bool,
    /// When the time of an attempt is over, the next one is sent beside it.
    pub(crate) is_hedged: bool,
}

impl Retry {
    /// Retries without anything else.
    pub(super) fn new(retries: u32, conditions: Vec<&'static str>) -> Self {
        Self {
            retries,
            conditions,
            status_codes: Vec::new(),
            backoff: None,
            per_try_timeout: None,
            to_other_endpoints: false,
            to_other_priorities: false,
            is_hedged: false,
        }
    }
}
