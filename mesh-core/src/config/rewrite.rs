//! Rewrites: what a route changes in a request's path and authority before it is sent.

use http::HeaderName;
use http::uri::Authority;

use crate::policy::matcher::CapturingRegex;

/// What a route changes in a request's path and authority. Filters see the request before the change; the route does not
/// change with the path.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Rewrite {
    /// The authority of requests; `None`: it stays.
    // RT-62
    pub host: Option<HostRewrite>,
    /// The path of requests, without the query, which stays; `None`: it stays, too.
    // RT-60
    pub path: Option<PathRewrite>,
    /// Add the authority that was replaced to `x-forwarded-host`.
    // RT-62
    pub append_forwarded_host: bool,
}

impl Rewrite {
    /// Another authority.
    #[must_use]
    pub fn with_host(self, host: HostRewrite) -> Self {
        Self { host: Some(host), ..self }
    }

    /// Another path.
    #[must_use]
    pub fn with_path(self, path: PathRewrite) -> Self {
        Self { path: Some(path), ..self }
    }

    /// Whether nothing changes.
    pub fn is_none(&self) -> bool {
        self.host.is_none() && self.path.is_none()
    }
}

/// Where a request's new authority comes from.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum HostRewrite {
    /// This one.
    Literal(Authority),
    /// The first value of this header; the authority stays where the header is absent or empty.
    Header(HeaderName),
    /// The path with every match replaced.
    Path(RegexRewrite),
}

/// How a request's path changes.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum PathRewrite {
    /// The matched prefix is replaced by this text; of a route with an exact path or an expression, the whole path. A
    /// result that does not begin with `/` gets one.
    Prefix(String),
    /// Every match is replaced.
    // RT-61
    Regex(RegexRewrite),
}

/// Replaces every match of an expression.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RegexRewrite {
    /// What is replaced.
    pub pattern: CapturingRegex,
    /// By what: `${1}` is the first group and `$$` is `$`.
    pub replacement: String,
}

impl RegexRewrite {
    /// Replaces every match of `pattern` by `replacement`, in which `${1}` is the first group and `$$` is `$`.
    pub fn new(pattern: CapturingRegex, replacement: impl Into<String>) -> Self {
        Self { pattern, replacement: replacement.into() }
    }
}
