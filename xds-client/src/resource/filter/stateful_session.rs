//! Session affinity (gRFC A55), in a cookie or, as in Envoy, in a header.

use std::sync::Arc;

use mesh_core::filter::{
    ConfigValue, FilterConfig, LostSession, SessionCookie, SessionState, StatefulSession,
    StatefulSessionOverride,
};
use xds_proto::envoy::config::core::v3::TypedExtensionConfig;
use xds_proto::envoy::extensions::filters::http::stateful_session::v3 as proto;
use xds_proto::envoy::extensions::filters::http::stateful_session::v3::stateful_session_per_route::Override;
use xds_proto::envoy::extensions::http::stateful_session::cookie::v3::CookieBasedSessionState;
use xds_proto::envoy::extensions::http::stateful_session::header::v3::HeaderBasedSessionState;
use xds_proto::envoy::r#type::http::v3::Cookie;

use crate::resource::extension::Extension;
use crate::resource::invalid::{Checked, Invalid, Within};
use crate::resource::{fields, matcher};

use super::HttpFilterType;
use crate::resource::{ExtensionError, ExtensionPayload};

/// `envoy.extensions.filters.http.stateful_session.v3.StatefulSession`, overridden by `StatefulSessionPerRoute`.
#[derive(Debug)]
pub(super) struct StatefulSessionType;

impl HttpFilterType for StatefulSessionType {
    fn type_name(&self) -> &str {
        "envoy.extensions.filters.http.stateful_session.v3.StatefulSession"
    }

    fn decode(&self, payload: &ExtensionPayload<'_>) -> Result<Arc<dyn FilterConfig>, ExtensionError> {
        Ok(Arc::new(read(&payload.decode()?)?))
    }

    // HF-24
    fn override_type_name(&self) -> Option<&str> {
        Some("envoy.extensions.filters.http.stateful_session.v3.StatefulSessionPerRoute")
    }

    fn decode_override(
        &self,
        payload: &ExtensionPayload<'_>,
    ) -> Result<Arc<dyn ConfigValue>, ExtensionError> {
        let message: proto::StatefulSessionPerRoute = payload.decode()?;
        Ok(Arc::new(match &message.r#override {
            Some(Override::Disabled(true)) => StatefulSessionOverride::Disabled,
            Some(Override::StatefulSession(session)) => {
                StatefulSessionOverride::Config(read(session).within("stateful_session")?)
            }
            Some(Override::Disabled(false)) => return Err(Invalid::at("disabled", "must be true").into()),
            None => return Err(Invalid::new("expected disabled or stateful_session").into()),
        }))
    }
}

/// Without a state there are no sessions, as in gRPC.
// HF-24
fn read(session: &proto::StatefulSession) -> Checked<StatefulSession> {
    let state = session.session_state.as_ref().map(state).transpose().within("session_state")?;
    let mut read = StatefulSession::new(state);
    if session.strict {
        read.lost = LostSession::Fail;
    }
    Ok(read)
}

fn state(state: &TypedExtensionConfig) -> Checked<SessionState> {
    let any = state.typed_config.as_ref().ok_or_else(|| Invalid::at("typed_config", "must be set"))?;
    let read = || {
        let extension = Extension::of(any)?;
        match extension.type_name() {
            COOKIE => {
                cookie(extension.message::<CookieBasedSessionState>()?.cookie.as_ref()).within("cookie")
            }
            HEADER => {
                let name = extension.message::<HeaderBasedSessionState>()?.name;
                matcher::header_name(&name).map(SessionState::Header).within("name")
            }
            other => Err(Invalid::new(format!(
                "type {other:?} is not supported, expected {COOKIE:?} or {HEADER:?}"
            ))),
        }
    };
    read().within("typed_config")
}

fn cookie(cookie: Option<&Cookie>) -> Checked<SessionState> {
    let Cookie { name, ttl, path } = cookie.ok_or_else(|| Invalid::new("must be set"))?;
    if name.is_empty() || !name.bytes().all(is_in_tokens) {
        return Err(Invalid::at("name", format!("{name:?} is not a cookie's name")));
    }
    if !path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';') {
        return Err(Invalid::at("path", format!("{path:?} is not a cookie's path")));
    }
    let mut read = SessionCookie::new(name.as_str());
    read.ttl = fields::optional_duration(ttl.as_ref(), "ttl")?.unwrap_or_default();
    if !path.is_empty() {
        read.path = path.as_str().into();
    }
    Ok(SessionState::Cookie(read))
}

fn is_in_tokens(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

const COOKIE: &str = "envoy.extensions.http.stateful_session.cookie.v3.CookieBasedSessionState";
const HEADER: &str = "envoy.extensions.http.stateful_session.header.v3.HeaderBasedSessionState";
