//! The filter of an `HTTPRoute` that says which pages of browsers may ask.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Findings};
use crate::kinds::cors::{Cors, check_tokens};
use crate::kinds::{Pattern, check};
use crate::state::ClientFamily;
use crate::yaml::FieldPath;

/// Which pages of browsers may ask, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct CorsFilter {
    /// `https://www.example.com`, with a `*` for the first labels of the host, or `*` for all.
    allow_origins: Vec<String>,
    allow_credentials: Option<bool>,
    allow_methods: Vec<String>,
    allow_headers: Vec<String>,
    expose_headers: Vec<String>,
    /// In seconds.
    max_age: Option<u32>,
}

impl CorsFilter {
    pub(crate) fn cors(&self) -> Cors {
        Cors {
            origins: self.allow_origins.iter().map(|origin| pattern(origin)).collect(),
            methods: self.allow_methods.clone(),
            headers: self.allow_headers.clone(),
            exposed: self.expose_headers.clone(),
            max_age: Some(Duration::from_secs(u64::from(self.max_age.unwrap_or(MAX_AGE)))),
            credentials: self.allow_credentials,
            forwards_unmatched: None,
        }
    }

    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        let message = "ignored: only Envoy answers browsers";
        let finding = Finding::warning(path.clone(), message);
        findings.push(finding.of_clients(&[ClientFamily::Grpc, ClientFamily::MeshTonic]));
        for (index, origin) in self.allow_origins.iter().enumerate() {
            if !is_origin(origin) {
                let message =
                    format!("found `{origin}`, expected an origin such as `https://www.example.com`, or `*`");
                findings.error(path.field("allowOrigins").index(index), message);
            }
        }
        check::length(self.allow_origins.len(), MOST, &path.field("allowOrigins"), findings);
        check_tokens(&self.allow_methods, &path.field("allowMethods"), findings);
        check_tokens(&self.allow_headers, &path.field("allowHeaders"), findings);
        check_tokens(&self.expose_headers, &path.field("exposeHeaders"), findings);
        if self.max_age == Some(0) {
            findings.error(path.field("maxAge"), "found the number 0, expected at least 1");
        }
    }
}

fn is_origin(origin: &str) -> bool {
    if origin == "*" {
        return true;
    }
    let Some((scheme, rest)) = origin.split_once("://") else { return false };
    let (host, port) = rest.rsplit_once(':').map_or((rest, None), |(host, port)| (host, Some(port)));
    ["http", "https"].contains(&scheme)
        && check::is_host(host.strip_prefix("*.").unwrap_or(host))
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// A `*` stands for at least one label.
fn pattern(origin: &str) -> Pattern {
    match origin.split_once("://*.") {
        _ if origin == "*" => Pattern::Present,
        Some((scheme, rest)) => Pattern::Regex(format!("{scheme}://[^/:]+\\.{}", regex::escape(rest))),
        None => Pattern::Exact(origin.to_owned()),
    }
}

/// The Gateway API's limit, and its default in seconds.
const MOST: usize = 64;
const MAX_AGE: u32 = 5;
