//! `sessionPersistence` of the Gateway API's routes.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{GatewayDuration, check};
use crate::finding::{Finding, Findings};
use crate::state::ClientFamily;
use crate::yaml::FieldPath;

/// The calls of a session go to one endpoint, as long as it is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SessionPersistence {
    /// Of the cookie or the header.
    session_name: Option<String>,
    r#type: SessionType,
    /// Of a permanent cookie: how long it is kept.
    absolute_timeout: Option<GatewayDuration>,
    idle_timeout: Option<GatewayDuration>,
    cookie_config: CookieConfig,
}

/// What carries the session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
enum SessionType {
    #[default]
    Cookie,
    Header,
}

/// Settings of the cookie.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct CookieConfig {
    lifetime_type: LifetimeType,
}

/// When a cookie ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
enum LifetimeType {
    /// With the session of the one who keeps it.
    #[default]
    Session,
    /// After the absolute timeout.
    Permanent,
}

/// What carries a session, complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Session {
    /// A cookie; without a lifetime it ends with the session of the one who keeps it.
    Cookie { name: String, lifetime: Option<Duration> },
    /// A header, in lower case.
    Header(String),
}

impl SessionPersistence {
    pub(crate) fn session(&self) -> Session {
        let name = self.session_name.clone().unwrap_or_else(|| NAME.to_owned());
        match self.r#type {
            SessionType::Header => Session::Header(name.to_ascii_lowercase()),
            SessionType::Cookie => {
                let is_permanent = self.cookie_config.lifetime_type == LifetimeType::Permanent;
                let lifetime = self.absolute_timeout.filter(|_| is_permanent).map(|timeout| timeout.0);
                Session::Cookie { name, lifetime }
            }
        }
    }

    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        if let Some(name) = &self.session_name {
            // A cookie's name is a token, as a header's is.
            check::header_name(name, &path.field("sessionName"), findings);
        }
        let timeout = path.field("absoluteTimeout");
        let is_permanent = self.cookie_config.lifetime_type == LifetimeType::Permanent;
        match self.absolute_timeout {
            None if is_permanent => {
                findings.missing(timeout, "required for a cookie whose lifetimeType is Permanent");
            }
            Some(GatewayDuration(value)) if value.is_zero() => {
                findings
                    .error(timeout, "found the text `0s`, expected a duration of at least 1s for a cookie");
            }
            Some(_) if !is_permanent || self.r#type == SessionType::Header => {
                findings.warning(timeout, "has an effect with a cookie whose lifetimeType is Permanent only");
            }
            _ => {}
        }
        if is_permanent && self.r#type == SessionType::Header {
            let path = path.field("cookieConfig").field("lifetimeType");
            findings.error(path, "is a setting of type Cookie");
        }
        if self.idle_timeout.is_some() {
            let message =
                "has no effect: a session lasts as long as its endpoint and its cookie or header do";
            findings.warning(path.field("idleTimeout"), message);
        }
        let message = "only mesh-tonic and Envoy keep sessions: other gRPC clients balance each call";
        findings.push(Finding::warning(path.clone(), message).of_clients(&[ClientFamily::Grpc]));
    }
}

/// For sessions without a name of their own.
const NAME: &str = "mesh-session";
