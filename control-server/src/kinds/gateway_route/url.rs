//! Filters of an `HTTPRoute` that change the URL: redirects and rewrites.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Findings};
use crate::kinds::check::{self, Wildcard};
use crate::state::ClientFamily;
use crate::yaml::FieldPath;

/// An answer that names another place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RequestRedirect {
    pub(crate) scheme: Option<Scheme>,
    pub(crate) hostname: Option<String>,
    pub(crate) path: Option<PathModifier>,
    pub(crate) port: Option<u32>,
    pub(crate) status_code: Option<u32>,
}

/// What the backend sees instead of what was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(crate) struct UrlRewrite {
    pub(crate) hostname: Option<String>,
    pub(crate) path: Option<PathModifier>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scheme {
    Http,
    Https,
}

/// Another path.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PathModifier {
    r#type: ModifierType,
    replace_full_path: Option<String>,
    replace_prefix_match: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
enum ModifierType {
    ReplaceFullPath,
    ReplacePrefixMatch,
}

/// What a [`PathModifier`] replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replacement<'a> {
    /// The whole path.
    Whole(&'a str),
    /// The prefix that has matched.
    Prefix(&'a str),
}

impl PathModifier {
    pub(crate) fn replacement(&self) -> Replacement<'_> {
        fn text(text: Option<&String>) -> &str {
            text.map(String::as_str).unwrap_or_default()
        }
        match self.r#type {
            ModifierType::ReplaceFullPath => Replacement::Whole(text(self.replace_full_path.as_ref())),
            ModifierType::ReplacePrefixMatch => Replacement::Prefix(text(self.replace_prefix_match.as_ref())),
        }
    }

    pub(super) const fn replaces_prefix(&self) -> bool {
        matches!(self.r#type, ModifierType::ReplacePrefixMatch)
    }

    fn check(&self, path: &FieldPath, findings: &mut Findings) {
        let fields = [
            (ModifierType::ReplaceFullPath, "replaceFullPath", &self.replace_full_path),
            (ModifierType::ReplacePrefixMatch, "replacePrefixMatch", &self.replace_prefix_match),
        ];
        for (of_type, field, value) in fields {
            let path = path.field(field);
            match (of_type == self.r#type, value) {
                (true, None) => findings.missing(path, "required, but not set"),
                (false, Some(_)) => findings.error(path, format!("is a setting of the type {of_type:?}")),
                (true, Some(text)) if !is_path(text) => {
                    findings.error(path, format!("found `{text}`, expected a path that begins with `/`"));
                }
                _ => {}
            }
        }
    }
}

/// An empty text means `/`.
fn is_path(text: &str) -> bool {
    text.is_empty()
        || (text.starts_with('/')
            && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte)))
}

impl RequestRedirect {
    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        let message = "only Envoy answers so: calls of gRPC clients that match fail with UNAVAILABLE";
        let finding = Finding::warning(path.clone(), message);
        findings.push(finding.of_clients(&[ClientFamily::Grpc, ClientFamily::MeshTonic]));
        if let Some(hostname) = &self.hostname {
            check::host(hostname, Wildcard::Refused, &path.field("hostname"), findings);
        }
        if let Some(modifier) = &self.path {
            modifier.check(&path.field("path"), findings);
        }
        if let Some(port) = self.port {
            check::port(port, &path.field("port"), findings);
        }
        if let Some(code) = self.status_code
            && ![301, 302, 303, 307, 308].contains(&code)
        {
            let message = format!("found the number {code}, expected one of 301, 302, 303, 307, 308");
            findings.error(path.field("statusCode"), message);
        }
    }
}

impl UrlRewrite {
    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        let message =
            "ignored by gRPC clients, only mesh-tonic and Envoy do it: path and authority stay as they are";
        let finding = Finding::warning(path.clone(), message);
        findings.push(finding.of_clients(&[ClientFamily::Grpc]));
        if let Some(hostname) = &self.hostname {
            check::host(hostname, Wildcard::Refused, &path.field("hostname"), findings);
            let message = "mesh-tonic does it only if its bootstrap has `trusted_xds_server` for this server";
            let finding = Finding::warning(path.field("hostname"), message);
            findings.push(finding.of_clients(&[ClientFamily::MeshTonic]));
        }
        if let Some(modifier) = &self.path {
            modifier.check(&path.field("path"), findings);
        }
        if self.hostname.is_none() && self.path.is_none() {
            findings.error(path.clone(), "expected hostname or path or both, found neither");
        }
    }
}
