//! Session affinity (gRFC A55, A60): a session's calls go to the endpoint that its first call went to, as long as there is one.
//!
//! The session is in a cookie or a header. The filter reads it before a cluster is chosen and before an endpoint is picked, and gives
//! the caller a new one with the response where there was none, or another endpoint has answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue, request, response};

use crate::config::Name;
use crate::policy::session::{SessionHost, cookie, is_path_of};

use super::{
    BuildError, FilterCall, FilterConfig, FilterContext, HttpFilter, Overrides, RequestAction, Stages,
};

/// Where a session is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionState {
    /// In a cookie: gRPC's way.
    Cookie(SessionCookie),
    /// In a header of this name, of requests and responses.
    Header(HeaderName),
}

/// The cookie of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionCookie {
    /// Its name.
    pub name: Name,
    /// How long it is kept; 0: until the caller forgets its session.
    pub ttl: Duration,
    /// Calls of other paths have no session.
    pub path: Name,
}

impl SessionCookie {
    /// A cookie of this name for every path, without an end.
    pub fn new(name: impl Into<Name>) -> Self {
        Self { name: name.into(), ttl: Duration::ZERO, path: "/".into() }
    }
}

/// What happens to a call whose session's endpoint cannot take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LostSession {
    /// It goes to another endpoint, and the session with it.
    #[default]
    Rebind,
    /// It fails.
    Fail,
}

/// Session affinity, as a listener configures it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatefulSession {
    /// Where sessions are kept; `None`: there are none, except where a route says so.
    pub state: Option<SessionState>,
    /// What happens to a call whose session's endpoint cannot take it.
    pub lost: LostSession,
}

/// Session affinity, as a part of the routes overrides it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatefulSessionOverride {
    /// No sessions.
    Disabled,
    /// These.
    Config(StatefulSession),
}

impl StatefulSession {
    /// Sessions that are kept there.
    pub fn new(state: impl Into<Option<SessionState>>) -> Self {
        Self { state: state.into(), lost: LostSession::default() }
    }
}

impl FilterConfig for StatefulSession {
    fn build(
        &self,
        overrides: Overrides<'_>,
        _: &FilterContext,
    ) -> Result<Option<Arc<dyn HttpFilter>>, BuildError> {
        let config = match overrides.most_specific::<StatefulSessionOverride>()? {
            None => self,
            Some(StatefulSessionOverride::Disabled) => return Ok(None),
            Some(StatefulSessionOverride::Config(config)) => config,
        };
        let filter = |state: &SessionState| Session {
            state: state.clone(),
            lost: config.lost,
            has_warned: AtomicBool::new(false),
        };
        Ok(config.state.as_ref().map(|state| Arc::new(filter(state)) as _))
    }
}

/// Binds sessions to endpoints.
#[derive(Debug)]
struct Session {
    state: SessionState,
    lost: LostSession,
    has_warned: AtomicBool,
}

/// How many characters of a session a log line shows.
const SHOWN: usize = 100;

/// The session that a request came with.
#[derive(Debug, Clone)]
struct Bound(Option<Arc<SessionHost>>);

impl Session {
    /// `None`: calls of this path have no sessions.
    fn read(&self, path: &str, headers: &HeaderMap) -> Option<Option<SessionHost>> {
        let text = match &self.state {
            SessionState::Cookie(settings) if !is_path_of(&settings.path, path) => return None,
            SessionState::Cookie(settings) => cookie(headers, &settings.name),
            SessionState::Header(name) => headers.get(name).and_then(|value| value.to_str().ok()),
        };
        let text = text.filter(|text| !text.is_empty());
        let host = text.and_then(SessionHost::decode);
        if let (Some(session), None) = (text, &host) {
            self.tell_of(session);
        }
        Some(host)
    }

    /// HF-25: a warning for the first one only. The text is a caller's, who could fill the log with it.
    fn tell_of(&self, session: &str) {
        let session: String = session.chars().take(SHOWN).collect();
        if self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::debug!(session, "a session names no endpoint, and is ignored");
        } else {
            tracing::warn!(
                session,
                "a session names no endpoint, and is ignored; further ones are told at debug level"
            );
        }
    }

    fn show(&self, host: &SessionHost, headers: &mut HeaderMap) {
        let value = host.encode();
        let (name, value) = match &self.state {
            SessionState::Header(name) => (name.clone(), value),
            SessionState::Cookie(SessionCookie { name, ttl, path }) => {
                let mut text = format!("{name}={value}; Path={path}");
                // C38: without a time to live the cookie has no end
                if !ttl.is_zero() {
                    text.push_str(&format!("; Max-Age={}", ttl.as_secs().max(1)));
                }
                text.push_str("; HttpOnly");
                (SET_COOKIE, text)
            }
        };
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.append(name, value);
        }
    }
}

impl HttpFilter for Session {
    fn stages(&self) -> Stages {
        Stages::CLUSTER | Stages::REQUEST | Stages::RESPONSE
    }

    fn wanted_cluster(&self, path: &str, headers: &HeaderMap) -> Option<Name> {
        self.read(path, headers)??.cluster
    }

    fn on_request(&self, head: &mut request::Parts, call: &mut FilterCall<'_>) -> RequestAction {
        let Some(host) = self.read(head.uri.path(), &head.headers) else { return RequestAction::Continue };
        // HF-26: a session of another cluster is none here
        let is_here =
            |host: &SessionHost| host.cluster.as_deref().is_none_or(|named| named == call.cluster());
        let host = host.filter(is_here).map(Arc::new);
        if let Some(host) = &host {
            call.prefer_endpoint(&host.addresses, self.lost);
        }
        call.state().insert(Bound(host));
        RequestAction::Continue
    }

    fn on_response(&self, head: &mut response::Parts, call: &mut FilterCall<'_>) {
        let Some(Bound(bound)) = call.state().remove::<Bound>() else { return };
        let Some(addresses) = call.endpoint() else { return };
        let host = SessionHost { addresses, cluster: Some(call.cluster().into()) };
        // HF-27
        if bound.is_none_or(|bound| !bound.is_same(&host)) {
            self.show(&host, &mut head.headers);
        }
    }
}
