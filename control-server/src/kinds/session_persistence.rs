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
    /// The cookie, where it has settings of its own.
    cookie: Option<Cookie>,
    /// The header, where it has a name of its own.
    header: Option<Header>,
}

/// A cookie, in the spelling of later versions of the Gateway API.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct Cookie {
    name: Option<String>,
    path: Option<String>,
    lifetime_type: Option<LifetimeType>,
}

/// A header, in that spelling.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
struct Header {
    name: Option<String>,
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
    Cookie { name: String, path: String, lifetime: Option<Duration> },
    /// A header, in lower case.
    Header(String),
}

impl SessionPersistence {
    pub(crate) fn session(&self) -> Session {
        let name = self.names().next().map_or_else(|| NAME.to_owned(), |(_, name)| name.clone());
        match self.r#type {
            SessionType::Header => Session::Header(name.to_ascii_lowercase()),
            SessionType::Cookie => {
                let path = self.cookie.as_ref().and_then(|cookie| cookie.path.clone());
                let lifetime = self.absolute_timeout.filter(|_| self.is_permanent()).map(|timeout| timeout.0);
                Session::Cookie { name, path: path.unwrap_or_else(|| "/".to_owned()), lifetime }
            }
        }
    }

    /// The names that are given, each with its field.
    fn names(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let of_cookie = self.cookie.as_ref().and_then(|cookie| cookie.name.as_ref());
        let of_header = self.header.as_ref().and_then(|header| header.name.as_ref());
        let all = [("sessionName", self.session_name.as_ref()), ("cookie", of_cookie), ("header", of_header)];
        all.into_iter().filter_map(|(field, name)| Some((field, name?)))
    }

    fn is_permanent(&self) -> bool {
        let own = self.cookie.as_ref().and_then(|cookie| cookie.lifetime_type);
        own.unwrap_or(self.cookie_config.lifetime_type) == LifetimeType::Permanent
    }

    fn check_names(&self, path: &FieldPath, findings: &mut Findings) {
        for (place, (field, name)) in self.names().enumerate() {
            let path = path.field(field);
            let path = if field == "sessionName" { path } else { path.field("name") };
            if place > 0 {
                findings.error(path, "found two names of the session, expected one");
            } else {
                // A cookie's name is a token, as a header's is.
                check::header_name(name, &path, findings);
            }
        }
        let others = [
            ("cookie", "Cookie", self.cookie.is_some() && self.r#type == SessionType::Header),
            ("header", "Header", self.header.is_some() && self.r#type == SessionType::Cookie),
        ];
        for (field, of, is_other) in others {
            if is_other {
                findings.error(path.field(field), format!("is a setting of type {of}"));
            }
        }
        if let Some(text) = self.cookie.as_ref().and_then(|cookie| cookie.path.as_ref()) {
            let is_path =
                text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';');
            if !is_path {
                let message = format!("found the text `{text}`, expected a path that begins with `/`");
                findings.error(path.field("cookie").field("path"), message);
            }
        }
    }

    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        self.check_names(path, findings);
        let timeout = path.field("absoluteTimeout");
        let is_permanent = self.is_permanent();
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
