//! Rewrites of a request's path and authority (Envoy's `RouteAction`, gRFC A81).

#[cfg(test)]
mod tests;

use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};

use crate::config::{HostRewrite, PathRewrite, Rewrite};
use crate::policy::matcher::PathMatcher;

/// A route's rewrite, with what its path rewrite replaces.
#[derive(Debug)]
pub(crate) struct Rewriter {
    rewrite: Rewrite,
    matched: Matched,
}

/// The part of a path that the route's matcher has matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Matched {
    Whole,
    Prefix(usize),
    /// A prefix that ends where a segment of the path ends.
    Segments(usize),
}

/// The result of a rewrite cannot be sent: it is no valid path or authority.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidRewrite {
    #[error("the route rewrites the path to {0:?}, which is not a valid path")]
    Path(String),
    #[error("the route rewrites the authority to {0:?}, which is not a valid authority")]
    Host(String),
}

impl Rewriter {
    /// `None`: nothing changes.
    pub(crate) fn new(rewrite: &Rewrite, path: &PathMatcher) -> Option<Self> {
        let matched = match path {
            PathMatcher::Exact { .. } | PathMatcher::Regex(_) => Matched::Whole,
            PathMatcher::Prefix { prefix, .. } => Matched::Prefix(prefix.len()),
            PathMatcher::SeparatedPrefix { prefix, .. } => Matched::Segments(prefix.len()),
        };
        (!rewrite.is_none()).then(|| Self { rewrite: rewrite.clone(), matched })
    }

    /// Changes the path and the authority of a request.
    ///
    /// # Errors
    /// [`InvalidRewrite`] if the result cannot be sent; the head is unchanged then.
    pub(crate) fn apply(&self, head: &mut Parts) -> Result<(), InvalidRewrite> {
        let (host, path) = (self.host(head)?, self.path(head)?);
        self.change(head, host, path);
        Ok(())
    }

    /// Changes the path alone.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub(crate) fn apply_path(&self, head: &mut Parts) -> Result<(), InvalidRewrite> {
        let path = self.path(head)?;
        self.change(head, None, path);
        Ok(())
    }

    fn change(&self, head: &mut Parts, host: Option<Authority>, path: Option<PathAndQuery>) {
        let mut uri = head.uri.clone().into_parts();
        if let Some(host) = host {
            if self.rewrite.append_forwarded_host
                && let Some(before) = uri.authority.as_ref().filter(|before| **before != host)
                && let Ok(before) = HeaderValue::from_str(before.as_str())
            {
                head.headers.append(FORWARDED_HOST, before);
            }
            uri.authority = Some(host);
        }
        if let Some(path) = path {
            if let Some(before) = &uri.path_and_query
                && let Ok(before) = HeaderValue::from_str(before.as_str())
            {
                // RT-60
                head.headers.insert(ORIGINAL_PATH, before);
            }
            uri.path_and_query = Some(path);
        }
        // Valid parts are a valid whole: a request has a scheme and an authority, or neither.
        if let Ok(uri) = uri.try_into() {
            head.uri = uri;
        }
    }

    /// RT-62
    fn host(&self, head: &Parts) -> Result<Option<Authority>, InvalidRewrite> {
        let parse = |text: &str| text.parse().map_err(|_| InvalidRewrite::Host(text.to_owned()));
        match &self.rewrite.host {
            None => Ok(None),
            Some(HostRewrite::Literal(host)) => Ok(Some(host.clone())),
            Some(HostRewrite::Header(name)) => match head.headers.get(name) {
                None => Ok(None),
                Some(value) if value.is_empty() => Ok(None),
                Some(value) => parse(&String::from_utf8_lossy(value.as_bytes())).map(Some),
            },
            Some(HostRewrite::Path(rewrite)) => {
                parse(&rewrite.pattern.replace_all(head.uri.path(), &rewrite.replacement)).map(Some)
            }
        }
    }

    fn path(&self, head: &Parts) -> Result<Option<PathAndQuery>, InvalidRewrite> {
        let before = head.uri.path();
        let mut path = match &self.rewrite.path {
            None => return Ok(None),
            Some(PathRewrite::Prefix(prefix)) => self.matched.replaced(before, prefix),
            // RT-61
            Some(PathRewrite::Regex(rewrite)) => {
                rewrite.pattern.replace_all(before, &rewrite.replacement).into_owned()
            }
        };
        if !path.starts_with('/') {
            path.insert(0, '/');
        }
        if let Some(query) = head.uri.query() {
            path.push('?');
            path.push_str(query);
        }
        PathAndQuery::try_from(path.as_str()).map(Some).map_err(|_| InvalidRewrite::Path(path))
    }
}

impl Matched {
    /// RT-60: the path with the matched part replaced.
    fn replaced(self, path: &str, by: &str) -> String {
        let rest = |length: usize| path.get(length..).unwrap_or_default();
        match self {
            Self::Whole => by.to_owned(),
            Self::Prefix(length) => [by, rest(length)].concat(),
            // C60: a segment's own `/` is not doubled
            Self::Segments(length) => match by.strip_suffix('/') {
                Some(by) if rest(length).starts_with('/') => [by, rest(length)].concat(),
                _ => [by, rest(length)].concat(),
            },
        }
    }
}

const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

const ORIGINAL_PATH: HeaderName = HeaderName::from_static("x-envoy-original-path");
