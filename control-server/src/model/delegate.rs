//! Delegation: a route of one `VirtualService` whose rules are in another.

use std::collections::BTreeMap;
use std::fmt;

use crate::kinds::virtual_service::{HttpMatch, HttpRoute, VirtualService};
use crate::kinds::{Pattern, StringMatch};

/// The routes of a delegating route: those of the delegate, each limited to the matches of the delegating route.
/// Timeout, retries, fault and headers of the delegating route apply where a route of the delegate has none.
///
/// # Errors
/// A match of the delegate is not a part of the matches of the delegating route.
pub(super) fn merge(root: &HttpRoute, delegate: &VirtualService) -> Result<Vec<HttpRoute>, NotPart> {
    delegate.http.iter().enumerate().map(|(index, route)| merge_route(root, route, index)).collect()
}

/// A match that is wider than the match that it is under.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotPart {
    route: usize,
    what: String,
}

impl fmt::Display for NotPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of spec.http[{}] of the delegate is not a part of this route's match",
            self.what, self.route
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
    let mut matches = Vec::new();
    let mut problem = None;
    for child in &child.r#match {
        let mut fits = false;
        for root in &root.r#match {
            match merge_match(root, child) {
                Ok(one) => {
                    matches.push(one);
                    fits = true;
                }
                Err(what) => problem = Some(NotPart { route: index, what }),
            }
        }
        if !fits && let Some(problem) = problem.take() {
            return Err(problem);
        }
    }
    merged.r#match = matches;
    Ok(merged)
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
    merged.source_labels.extend(root.source_labels.clone());
    merged.ignore_uri_case |= root.ignore_uri_case;
    if child.port.is_some() && root.port.is_some() && child.port != root.port {
        return Err("port".to_owned());
    }
    merged.port = child.port.or(root.port);
    if merged.source_namespace.is_empty() {
        merged.source_namespace.clone_from(&root.source_namespace);
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
