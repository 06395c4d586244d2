//! Tokens on servers: refuses calls whose tokens (JWT) are not believed, and tells later filters and the application what the
//! believed ones claim (Envoy's `jwt_authn`).
//!
//! ```text
//!  call ──▶ headers that only this filter writes are removed ──▶ requirement of the call's path
//!           ──▶ believed: token removed, claims in headers and metadata ──▶ next filter
//!           ──▶ keys unknown: wait for one fetch, then once more       ──▶ or 401, 403
//! ```

mod apply;
mod config;
mod observed;
mod remote;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, StatusCode, request};

use crate::certificate::crypto;
use crate::config::Name;
use crate::policy::jwt::{Accepted, CheckContext, JwtError, JwtProvider, KeySet, KeySource, Refused};

use super::{
    BuildError, FilterCall, FilterConfig, FilterContext, HttpFilter, LocalReply, Overrides, RequestAction,
    Resume, Stages,
};

use config::Planned;
pub use config::{JwtConfig, JwtOverride, JwtRule};
use observed::Observed;
pub(crate) use remote::{RemoteKeySet, RemoteKeySets};

impl FilterConfig for JwtConfig {
    fn build(
        &self,
        overrides: Overrides<'_>,
        context: &FilterContext,
    ) -> Result<Option<Arc<dyn HttpFilter>>, BuildError> {
        let Some(rules) = self.plans(overrides)? else { return Ok(None) };
        let keys = |(_, provider): &(Name, JwtProvider)| match &provider.keys {
            KeySource::Inline(keys) => Ok(Keys::Inline(keys.clone())),
            KeySource::Remote(remote) => context.remote_keys(remote).map(Keys::Remote),
        };
        let core = Core {
            keys: self.providers.iter().map(keys).collect::<Result<_, _>>()?,
            providers: self.providers.iter().map(|(_, provider)| provider.clone()).collect(),
            rules,
            passes_preflight: self.passes_preflight,
            hides_reason: self.hides_reason,
            observed: Observed::new(context),
        };
        Ok(Some(Arc::new(Jwt(Arc::new(core)))))
    }
}

/// Believes or refuses tokens.
#[derive(Debug)]
struct Jwt(Arc<Core>);

#[derive(Debug)]
struct Core {
    providers: Vec<JwtProvider>,
    keys: Vec<Keys>,
    rules: Vec<Planned>,
    passes_preflight: bool,
    hides_reason: bool,
    observed: Observed,
}

/// The keys of a provider.
enum Keys {
    Inline(Arc<KeySet>),
    Remote(Arc<dyn RemoteKeySet>),
}

impl HttpFilter for Jwt {
    fn stages(&self) -> Stages {
        Stages::REQUEST
    }

    fn on_request(&self, head: &mut request::Parts, call: &mut FilterCall<'_>) -> RequestAction {
        let core = &self.0;
        // What the application reads there, only this filter may have written.
        for name in core.providers.iter().flat_map(JwtProvider::own_headers) {
            head.headers.remove(name);
        }
        if core.passes_preflight && is_preflight(head) {
            return RequestAction::Continue;
        }
        // HF-43: the first rule that matches
        let Some(index) = core.rules.iter().position(|rule| rule.takes(head)) else {
            return RequestAction::Continue;
        };
        match core.check(index, head) {
            Ok(accepted) => {
                apply::apply(accepted, &core.providers, head);
                RequestAction::Continue
            }
            Err(refused) => {
                let fetches: Vec<_> =
                    refused.lacking_keys.iter().filter_map(|each| core.keys[*each].fetched()).collect();
                if fetches.is_empty() {
                    return RequestAction::Reply(core.refuse(refused.error, head, call));
                }
                self.once_more(index, head, call, fetches)
            }
        }
    }
}

impl Jwt {
    /// Waits for keys that are being fetched, and checks once more.
    // J5
    fn once_more(
        &self,
        index: usize,
        head: &request::Parts,
        call: &FilterCall<'_>,
        fetches: Vec<remote::Fetched>,
    ) -> RequestAction {
        let (core, mut copy) = (self.0.clone(), http::Request::new(()).into_parts().0);
        copy.method.clone_from(&head.method);
        copy.uri.clone_from(&head.uri);
        copy.headers.clone_from(&head.headers);
        let remote = call.peer().map(|peer| peer.remote);
        RequestAction::wait(async move {
            join_all(fetches).await;
            match core.check(index, &copy) {
                Ok(accepted) => Resume::change(move |head| apply::apply(accepted, &core.providers, head)),
                Err(refused) => Resume::Reply(core.refusal(refused.error, &copy, remote)),
            }
        })
    }
}

impl Core {
    fn check(&self, index: usize, head: &request::Parts) -> Result<Accepted, Refused> {
        let Some(requirement) = &self.rules[index].requirement else { return Ok(Accepted::default()) };
        let Ok(crypto) = crypto() else {
            return Err(Refused { error: JwtError::NoKeys, lacking_keys: Vec::new() });
        };
        let context = CheckContext {
            now: unix_now(),
            providers: &self.providers,
            keys: &|provider| self.keys[provider].current(),
            known: crypto.signature_verification_algorithms.all,
        };
        let checked = requirement.check(head, &context);
        if checked.is_ok() {
            self.observed.accepted();
        }
        checked
    }

    fn refuse(&self, error: JwtError, head: &request::Parts, call: &FilterCall<'_>) -> LocalReply {
        self.refusal(error, head, call.peer().map(|peer| peer.remote))
    }

    // HF-43: 401 is UNAUTHENTICATED in gRPC, 403 PERMISSION_DENIED
    fn refusal(
        &self,
        error: JwtError,
        head: &request::Parts,
        remote: Option<std::net::SocketAddr>,
    ) -> LocalReply {
        self.observed.refused(error, head.uri.path(), remote);
        let status = error.status();
        if self.hides_reason {
            return LocalReply::http(status, "");
        }
        let mut reply = LocalReply::http(status, error.to_string());
        if status == StatusCode::UNAUTHORIZED {
            let challenge = match error {
                JwtError::Missing => "Bearer",
                _ => "Bearer error=\"invalid_token\"",
            };
            reply.headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        reply
    }
}

impl Keys {
    fn current(&self) -> Option<Arc<KeySet>> {
        match self {
            Self::Inline(keys) => Some(keys.clone()),
            Self::Remote(remote) => remote.current(),
        }
    }

    /// Completes when other keys may have come; `None`: there will be none soon.
    fn fetched(&self) -> Option<remote::Fetched> {
        match self {
            Self::Inline(_) => None,
            Self::Remote(remote) => remote.on_unknown_key(),
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.current().fmt(f)
    }
}

fn is_preflight(head: &request::Parts) -> bool {
    head.method == Method::OPTIONS
        && head.headers.contains_key(ORIGIN)
        && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
