//! Conditions on headers and pseudo-headers.

use std::borrow::Cow;

use http::header::HOST;
use http::{HeaderMap, HeaderName};

use crate::config::ConfigError;
use crate::policy::matcher::{FullRegex, HeaderCondition, HeaderRule, StringPattern, joined_values};

use super::RbacRequest;

/// A condition on a header or a pseudo-header of a request.
///
/// Cannot be made for `:scheme` and `grpc-` headers, which rules may not look at, nor for a pseudo-header that no request has: a
/// rule that can never match would turn a denial around.
// HF-18, SEC-07
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHeaderMatcher {
    header: Header,
    condition: HeaderCondition,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Header {
    Method,
    /// `:authority` and `host` are the same (B7).
    Authority,
    Path,
    /// A header of the connection: always absent (HF-20).
    Hidden,
    Named(HeaderName),
}

impl RequestHeaderMatcher {
    /// A condition on the header of this name, whose case does not matter.
    ///
    /// # Errors
    /// [`ConfigError::HiddenHeader`] for a header that rules may not look at, [`ConfigError::InvalidHeader`] for a text that is
    /// not a header's name, [`ConfigError::InvalidRegex`] for an expression over authorities that takes too much memory when
    /// case is ignored.
    pub fn new(name: &str, condition: impl Into<HeaderCondition>) -> Result<Self, ConfigError> {
        let lower = name.to_ascii_lowercase();
        let hidden = || ConfigError::HiddenHeader { name: lower.clone() };
        let mut condition = condition.into();
        let header = match lower.as_str() {
            ":method" => Header::Method,
            ":path" => Header::Path,
            ":authority" | "host" => {
                condition.rule = of_authorities(condition.rule)?;
                Header::Authority
            }
            name if name.starts_with(':') || name.starts_with("grpc-") => return Err(hidden()),
            name if OF_THE_CONNECTION.contains(&name) => Header::Hidden,
            name => {
                let invalid = |_| ConfigError::InvalidHeader { name: name.to_owned() };
                Header::Named(HeaderName::from_bytes(name.as_bytes()).map_err(invalid)?)
            }
        };
        Ok(Self { header, condition })
    }

    /// Whether a request matches. Allocates only for a header with several values or with bytes that are not UTF-8.
    pub(super) fn matches(&self, request: &RbacRequest<'_>) -> bool {
        let condition = &self.condition;
        match &self.header {
            Header::Method => condition.matches(Some(request.method.as_str())),
            Header::Path => {
                let path = request.uri.path_and_query().map(http::uri::PathAndQuery::as_str);
                condition.matches(path)
            }
            Header::Authority => matches_authority(condition, request),
            Header::Hidden => condition.matches(None),
            // HF-20: several values are joined by commas, binary ones are in base64 already
            Header::Named(name) => condition.matches(joined_values(request.headers, name).as_deref()),
        }
    }
}

/// B7: case and a final dot do not matter in either; a port counts only where the rule has one, so both forms are tried.
fn matches_authority(condition: &HeaderCondition, request: &RbacRequest<'_>) -> bool {
    let from_uri = request.uri.authority().map(|authority| Cow::Borrowed(authority.as_str()));
    let Some(authority) = from_uri.or_else(|| single(request.headers)) else {
        return condition.matches(None);
    };
    let without_user = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = split_port(without_user);
    let bare_host = host.strip_suffix('.').unwrap_or(host);
    let whole = match (host.len() == bare_host.len(), port) {
        (false, Some(port)) => Cow::Owned(format!("{bare_host}:{port}")),
        (true, Some(_)) => Cow::Borrowed(without_user),
        (_, None) => Cow::Borrowed(bare_host),
    };
    (condition.rule.accepts(&whole) || condition.rule.accepts(bare_host)) != condition.invert
}

/// The only `host` header. Servers refuse requests with several.
fn single(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    headers.get(HOST).map(|host| String::from_utf8_lossy(host.as_bytes()))
}

/// Splits `host:port`; a host in brackets may have colons.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && is_host(host) => {
            (host, Some(port))
        }
        _ => (authority, None),
    }
}

fn is_host(text: &str) -> bool {
    !text.contains(':') || text.ends_with(']')
}

/// A rule over authorities in the form in which requests are compared: without regard to case, without a final dot.
fn of_authorities(rule: HeaderRule) -> Result<HeaderRule, ConfigError> {
    let HeaderRule::Value(mut matcher) = rule else { return Ok(rule) };
    matcher.ignore_case = true;
    matcher.pattern = match matcher.pattern {
        StringPattern::Exact(text) => StringPattern::Exact(without_final_dot(&text)),
        StringPattern::Suffix(text) => StringPattern::Suffix(without_final_dot(&text)),
        StringPattern::Regex(regex) if !regex.as_str().starts_with(IGNORING_CASE) => {
            StringPattern::Regex(FullRegex::new(&format!("{IGNORING_CASE}{}", regex.as_str()))?)
        }
        other => other,
    };
    Ok(HeaderRule::Value(matcher))
}

fn without_final_dot(text: &str) -> String {
    let (host, port) = split_port(text);
    let bare_host = host.strip_suffix('.').unwrap_or(host);
    port.map_or_else(|| bare_host.to_owned(), |port| format!("{bare_host}:{port}"))
}

/// An expression that begins with this ignores case. It holds for all of it, since an expression is complete in itself.
const IGNORING_CASE: &str = "(?i)";

/// Headers that describe one connection (RFC 9110, 7.6.1).
const OF_THE_CONNECTION: [&str; 7] =
    ["te", "trailer", "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];
