//! What requests a rule of an `HTTPRoute` is for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Findings};
use crate::kinds::check;
use crate::kinds::gateway_route::{ValueMatch, check_headers, check_query};
use crate::state::ClientFamily;
use crate::yaml::FieldPath;

/// All of these must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RouteMatch {
    pub(crate) path: PathMatch,
    pub(crate) headers: Vec<ValueMatch>,
    pub(crate) query_params: Vec<ValueMatch>,
    pub(crate) method: Option<Method>,
}

/// Matches the path, without a query.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub(crate) struct PathMatch {
    pub(crate) r#type: PathType,
    pub(crate) value: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) enum PathType {
    Exact,
    /// By whole elements: `/a` is a prefix of `/a` and `/a/b`, and not of `/ab`.
    #[default]
    PathPrefix,
    RegularExpression,
}

/// The methods that a match can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Connect,
    Options,
    Trace,
    Patch,
}

impl Default for PathMatch {
    fn default() -> Self {
        Self { r#type: PathType::default(), value: "/".to_owned() }
    }
}

impl Method {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
            Self::Patch => "PATCH",
        }
    }
}

impl RouteMatch {
    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        self.path.check(&path.field("path"), findings);
        check_headers(&self.headers, &path.field("headers"), findings);
        check_query(&self.query_params, &path.field("queryParams"), findings);
        let is_never_post = self.method.is_some_and(|method| method != Method::Post);
        let conditions = [
            ("queryParams", !self.query_params.is_empty(), !self.query_params.is_empty()),
            ("method", self.method.is_some(), is_never_post),
        ];
        for (field, is_set, never_holds) in conditions {
            let mut warn = |message, clients| {
                findings.push(Finding::warning(path.field(field), message).of_clients(clients));
            };
            if never_holds {
                warn(NEVER_GRPC, &[ClientFamily::Grpc]);
            }
            if is_set {
                warn(UNSEEN, &[ClientFamily::MeshTonic]);
            }
        }
    }
}

impl PathMatch {
    fn check(&self, path: &FieldPath, findings: &mut Findings) {
        let (path, text) = (path.field("value"), self.value.as_str());
        if self.r#type == PathType::RegularExpression {
            check::regex(text, &path, findings);
            return;
        }
        let ends = ["/..", "/."].iter().any(|end| text.ends_with(end));
        let parts = ["//", "/./", "/../", "%2f", "%2F", "#", "?"];
        let is_bad = ends || parts.iter().any(|part| text.contains(part));
        if !text.starts_with('/') || is_bad || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let message = format!("found `{text}`, expected a path that begins with `/`, in its normal form");
            findings.error(path.clone(), message);
        }
        if text.len() > LONGEST_PATH {
            findings.error(path, format!("found {} bytes, expected at most {LONGEST_PATH}", text.len()));
        }
    }
}

const NEVER_GRPC: &str = "never holds for gRPC clients, whose calls are POST and have no query";
const UNSEEN: &str =
    "mesh-rs does not show it to routing: its calls fail that match what else the rule asks for";
const LONGEST_PATH: usize = 1024;
