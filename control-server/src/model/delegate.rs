//! Delegation: a route of one `VirtualService` whose rules are in another.

use std::collections::BTreeMap;
use std::fmt;

use crate::kinds::virtual_service::{HttpMatch, HttpRoute, VirtualService};
use crate::kinds::{Pattern, StringMatch};

/// The routes of a delegating route: those of the delegate, each limited to the matches of the delegating route; and the
/// routes that are left out, because none of their matches is a part of those.
/// Timeout, retries, fault and headers of the delegating route apply where a route of the delegate has none.
pub(super) fn merge(root: &HttpRoute, delegate: &VirtualService) -> (Vec<HttpRoute>, Vec<NotPart>) {
    let (mut routes, mut left_out) = (Vec::new(), Vec::new());
    for (index, route) in delegate.http.iter().enumerate() {
        match merge_route(root, route, index) {
            Ok(route) => routes.push(route),
            Err(problem) => left_out.push(problem),
        }
    }
    (routes, left_out)
}

/// A route whose match is wider than the match that it is under.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotPart {
    /// Its position in the delegate.
    pub(super) route: usize,
    what: String,
}

impl fmt::Display for NotPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "spec.http[{}] of the delegate has no effect here: its {} is not a part of this route's match",
            self.route, self.what
        )
    }
}

fn merge_route(root: &HttpRoute, child: &HttpRoute, index: usize) -> Result<HttpRoute, NotPart> {
    let mut merged = child.clone();
    merged.timeout = child.timeout.or(root.timeout);
    merged.retries = child.retries.clone().or_else(|| root.retries.clone());
    merged.fault = child.fault.clone().or_else(|| root.fault.clone());
    merged.headers = child.headers.clone().or_else(|| root.headers.clone());
    if child.r#match.is_empty() {
        merged.r#match.clone_from(&root.r#match);
        return Ok(merged);
    }
    if root.r#match.is_empty() {
        return Ok(merged);
    }
    let pairs = child.r#match.iter().flat_map(|child| root.r#match.iter().map(move |root| (root, child)));
    let (mut matches, mut problem) = (Vec::new(), None);
    for (root, child) in pairs {
        match merge_match(root, child) {
            Ok(one) => matches.push(one),
            Err(what) => problem = Some(NotPart { route: index, what }),
        }
    }
    match problem {
        Some(problem) if matches.is_empty() => Err(problem),
        _ => {
            merged.r#match = matches;
            Ok(merged)
        }
    }
}

fn merge_match(root: &HttpMatch, child: &HttpMatch) -> Result<HttpMatch, String> {
    let mut merged = child.clone();
    merged.uri = narrower(root.uri.as_ref(), child.uri.as_ref()).ok_or("uri")?;
    merged.scheme = narrower(root.scheme.as_ref(), child.scheme.as_ref()).ok_or("scheme")?;
    merged.method = narrower(root.method.as_ref(), child.method.as_ref()).ok_or("method")?;
    merged.authority = narrower(root.authority.as_ref(), child.authority.as_ref()).ok_or("authority")?;
    merged.headers = both(&root.headers, &child.headers).map_err(|name| format!("header {name}"))?;
    merged.without_headers =
        both(&root.without_headers, &child.without_headers).map_err(|name| format!("header {name}"))?;
    for (name, value) in &root.source_labels {
        if merged.source_labels.insert(name.clone(), value.clone()).is_some_and(|own| own != *value) {
            return Err("sourceLabels".to_owned());
        }
    }
    merged.ignore_uri_case |= root.ignore_uri_case;
    if child.port.is_some() && root.port.is_some() && child.port != root.port {
        return Err("port".to_owned());
    }
    merged.port = child.port.or(root.port);
    if merged.source_namespace.is_empty() {
        merged.source_namespace.clone_from(&root.source_namespace);
    } else if !root.source_namespace.is_empty() && root.source_namespace != merged.source_namespace {
        return Err("sourceNamespace".to_owned());
    }
    if merged.gateways.is_empty() {
        merged.gateways.clone_from(&root.gateways);
    }
    Ok(merged)
}

/// The child's pattern if it is within the root's; `None` if it is not.
fn narrower(root: Option<&StringMatch>, child: Option<&StringMatch>) -> Option<Option<StringMatch>> {
    let (Some(root), Some(child)) = (root, child) else { return Some(child.or(root).cloned()) };
    let is_within = match (root.pattern(), child.pattern()) {
        (Pattern::Present, _) => true,
        (Pattern::Prefix(root), Pattern::Exact(child) | Pattern::Prefix(child)) => child.starts_with(&root),
        (root, child) => root == child,
    };
    is_within.then(|| Some(child.clone()))
}

/// All headers of both; an error names a header in which they contradict each other.
fn both(
    root: &BTreeMap<String, StringMatch>,
    child: &BTreeMap<String, StringMatch>,
) -> Result<BTreeMap<String, StringMatch>, String> {
    let mut merged = child.clone();
    for (name, value) in root {
        match narrower(Some(value), child.get(name)) {
            Some(Some(value)) => {
                merged.insert(name.clone(), value);
            }
            _ => return Err(name.clone()),
        }
    }
    Ok(merged)
}
