//! The rules of a `VirtualService` on its own.

use super::http::{Destination, DirectResponse, HttpMatch, HttpRoute};
use super::{VirtualService, is_for_mesh};
use crate::finding::Findings;
use crate::kinds::check::{self, Wildcard};
use crate::kinds::{Pattern, StringMatch};
use crate::yaml::FieldPath;

impl VirtualService {
    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        if !self.is_for_mesh() {
            findings.warning(path.field("gateways"), "the object has no effect: it is not for `mesh`");
            return;
        }
        for (index, host) in self.hosts.iter().enumerate() {
            let path = path.field("hosts").index(index);
            if host != "*" {
                check::host(host, Wildcard::Allowed, &path, findings);
            }
        }
        let hosts = self.hosts.iter().map(|host| host.to_ascii_lowercase());
        check::unique(hosts, |index| path.field("hosts").index(index), findings);
        warn_of_gateways(&self.gateways, &path.field("gateways"), findings);
        if self.http.is_empty() && self.tls.is_empty() && self.tcp.is_empty() {
            findings.error(path.field("http"), "found no http route, expected at least one");
        }
        for (index, route) in self.http.iter().enumerate() {
            route.check(self.is_delegate(), &path.field("http").index(index), findings);
        }
        check::export_to(&self.export_to, &path.field("exportTo"), findings);
    }
}

fn warn_of_gateways(gateways: &[String], path: &FieldPath, findings: &mut Findings) {
    for (index, gateway) in gateways.iter().enumerate() {
        if gateway != "mesh" {
            findings.warning(path.index(index), "ignored: gateways are not served, only `mesh`");
        }
    }
}

impl HttpRoute {
    fn check(&self, in_delegate: bool, path: &FieldPath, findings: &mut Findings) {
        self.check_action(in_delegate, path, findings);
        for (index, one) in self.r#match.iter().enumerate() {
            one.check(&path.field("match").index(index), findings);
        }
        self.check_destinations(&path.field("route"), findings);
        if let Some(retries) = &self.retries {
            retries.check(&path.field("retries"), findings);
        }
        if let Some(fault) = &self.fault {
            fault.check(&path.field("fault"), findings);
            let retries = self.retries.as_ref().and_then(|retries| retries.attempts);
            if fault.aborts() && retries.is_some_and(|attempts| attempts > 0) {
                findings.warning(path.field("retries"), NOT_OF_FAULTS);
            }
        }
        if let Some(rewrite) = self.rewrite.as_ref().and_then(|rewrite| rewrite.uri_regex_rewrite.as_ref()) {
            let path = path.field("rewrite").field("uriRegexRewrite").field("match");
            check::regex(&rewrite.r#match, &path, findings);
        }
        let origins = self.cors_policy.iter().flat_map(|policy| &policy.allow_origins);
        for (index, origin) in origins.enumerate() {
            origin.check(&path.field("corsPolicy").field("allowOrigins").index(index), findings);
        }
        if let Some(headers) = &self.headers {
            headers.check(&path.field("headers"), findings);
        }
        if let Some(mirror) = &self.mirror {
            mirror.check(&path.field("mirror"), findings);
        }
        if let Some(percent) = self.mirror_percentage {
            percent.check(&path.field("mirrorPercentage"), findings);
        }
        if let Some(percent) = self.mirror_percent {
            check::percent(f64::from(percent), &path.field("mirrorPercent"), findings);
        }
        for (index, mirror) in self.mirrors.iter().enumerate() {
            let path = path.field("mirrors").index(index);
            mirror.destination.check(&path.field("destination"), findings);
            if let Some(percent) = mirror.percentage {
                percent.check(&path.field("percentage"), findings);
            }
        }
        self.check_responses(path, findings);
    }

    fn check_action(&self, in_delegate: bool, path: &FieldPath, findings: &mut Findings) {
        let actions = [
            ("route", !self.route.is_empty()),
            ("redirect", self.redirect.is_some()),
            ("directResponse", self.direct_response.is_some()),
            ("delegate", self.delegate.is_some()),
        ];
        let set: Vec<&str> = actions.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect();
        match set.as_slice() {
            [] => findings
                .error(path.clone(), "expected one of route, redirect, directResponse, delegate, found none"),
            ["delegate"] if in_delegate => {
                findings.error(
                    path.field("delegate"),
                    "a VirtualService that is delegated to cannot delegate further",
                );
            }
            [_] => {}
            several => {
                let message = format!("found {}, expected only one of them", several.join(" and "));
                findings.error(path.clone(), message);
            }
        }
    }

    fn check_destinations(&self, path: &FieldPath, findings: &mut Findings) {
        for (index, route) in self.route.iter().enumerate() {
            let path = path.index(index);
            route.destination.check(&path.field("destination"), findings);
            if let Some(headers) = &route.headers {
                headers.check(&path.field("headers"), findings);
            }
        }
        let sum: u64 = self.route.iter().map(|route| u64::from(route.weight)).sum();
        if self.route.len() > 1 && sum == 0 {
            findings.error(
                path.clone(),
                "the weights add up to 0, expected at least one destination with a weight",
            );
        }
        if sum > u64::from(u32::MAX) {
            findings
                .error(path.clone(), format!("the weights add up to {sum}, expected at most {}", u32::MAX));
        }
    }

    fn check_responses(&self, path: &FieldPath, findings: &mut Findings) {
        if let Some(mistake) = self.direct_response.as_ref().and_then(DirectResponse::body_mistake) {
            findings.error(path.field("directResponse").field("body"), mistake);
        }
        if let Some(response) = &self.direct_response
            && !(200..=599).contains(&response.status)
        {
            let message =
                format!("found the number {}, expected an HTTP status from 200 to 599", response.status);
            findings.error(path.field("directResponse").field("status"), message);
        }
        let Some(redirect) = &self.redirect else { return };
        let path = path.field("redirect");
        if let Some(port) = redirect.port {
            check::port(port, &path.field("port"), findings);
        }
        if let Some(code) = redirect.redirect_code
            && ![301, 302, 303, 307, 308].contains(&code)
        {
            let message = format!("found the number {code}, expected one of 301, 302, 303, 307, 308");
            findings.error(path.field("redirectCode"), message);
        }
    }
}

impl HttpMatch {
    fn check(&self, path: &FieldPath, findings: &mut Findings) {
        self.check_uri(path, findings);
        for (name, value) in
            [("scheme", &self.scheme), ("method", &self.method), ("authority", &self.authority)]
        {
            if let Some(value) = value {
                value.check(&path.field(name), findings);
            }
        }
        if let Some(method) = &self.method
            && !matches_post(method)
        {
            findings.warning(
                path.field("method"),
                "the route is skipped for this match: gRPC calls are always POST",
            );
        }
        for (field, headers) in [("headers", &self.headers), ("withoutHeaders", &self.without_headers)] {
            for (name, value) in headers {
                let path = path.field(field).key(name);
                value.check(&path, findings);
                check::header_name(name, &path, findings);
            }
        }
        if let Some(port) = self.port {
            check::port(port, &path.field("port"), findings);
        }
        if !self.query_params.is_empty() {
            let message = "rejected because gRPC clients skip a route that matches query parameters";
            findings.unsupported(path.field("queryParams"), message);
        }
        let values =
            self.without_headers.values().filter(|value| value.pattern() != Pattern::Present).count();
        if values > MAX_NEGATED_VALUES {
            let message =
                format!("found {values} headers with a value, expected at most {MAX_NEGATED_VALUES}");
            findings.error(path.field("withoutHeaders"), message);
        }
    }

    fn check_uri(&self, path: &FieldPath, findings: &mut Findings) {
        let Some(uri) = &self.uri else { return };
        let path = path.field("uri");
        uri.check(&path, findings);
        match uri.pattern() {
            Pattern::Exact(text) | Pattern::Prefix(text) if !text.starts_with('/') => {
                findings.warning(path, "never matches: the path of a gRPC call is `/package.Service/Method`");
            }
            _ => {}
        }
    }
}

impl HttpMatch {
    /// Whether the match can hold for a gRPC call of some client inside the mesh.
    pub(crate) fn is_servable(&self) -> bool {
        self.scheme.is_none() && self.method.as_ref().is_none_or(matches_post) && is_for_mesh(&self.gateways)
    }
}

/// Whether a method matcher lets gRPC calls pass, which are always POST.
fn matches_post(method: &StringMatch) -> bool {
    match method.pattern() {
        Pattern::Present => true,
        Pattern::Exact(text) => text == "POST",
        Pattern::Prefix(text) => "POST".starts_with(&text),
        Pattern::Regex(regex) => {
            ::regex::Regex::new(&format!("^(?:{regex})$")).is_ok_and(|regex| regex.is_match("POST"))
        }
    }
}

impl Destination {
    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        check::host(&self.host, Wildcard::Refused, &path.field("host"), findings);
        if let Some(port) = self.port {
            check::port(port.number, &path.field("port").field("number"), findings);
        }
        if self.subset.as_deref() == Some("") {
            findings.error(path.field("subset"), "found an empty text, expected the name of a subset");
        }
    }
}

const NOT_OF_FAULTS: &str =
    "does not apply to calls that `fault` aborts: clients repeat only calls that an endpoint has failed";

/// Each one doubles the routes that it becomes.
const MAX_NEGATED_VALUES: usize = 4;
