//! Filters of routes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cors::CorsFilter;
use super::header_modifier::HeaderModifier;
use super::url::{RequestRedirect, UrlRewrite};
use super::{BackendRef, MOST, Reference};
use crate::finding::{Finding, Findings};
use crate::kinds::check;
use crate::kinds::cors::Cors;
use crate::kinds::header_changes::{self, HeaderChanges, HeaderEdits};
use crate::state::ClientFamily;
use crate::yaml::FieldPath;

/// A change of a call.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Filter {
    r#type: FilterType,
    request_header_modifier: Option<HeaderModifier>,
    response_header_modifier: Option<HeaderModifier>,
    request_mirror: Option<RequestMirror>,
    request_redirect: Option<RequestRedirect>,
    url_rewrite: Option<UrlRewrite>,
    cors: Option<CorsFilter>,
    extension_ref: Option<ExtensionRef>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) enum FilterType {
    RequestHeaderModifier,
    ResponseHeaderModifier,
    RequestMirror,
    RequestRedirect,
    #[serde(rename = "URLRewrite")]
    UrlRewrite,
    #[serde(rename = "CORS")]
    Cors,
    ExtensionRef,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct RequestMirror {
    backend_ref: Reference,
    percent: Option<u32>,
    fraction: Option<Fraction>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
struct Fraction {
    numerator: u32,
    denominator: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
struct ExtensionRef {
    group: String,
    kind: String,
    name: String,
}

/// Checks the filters of a rule or of a backend, of which there may be `types`.
pub(super) fn check(filters: &[Filter], types: &[FilterType], path: &FieldPath, findings: &mut Findings) {
    check::length(filters.len(), MOST, path, findings);
    for (index, filter) in filters.iter().enumerate() {
        let path = path.index(index);
        if !types.contains(&filter.r#type) {
            let known = types.iter().map(|known| known.name()).collect::<Vec<_>>().join(", ");
            let message = format!("found {}, expected one of {known}", filter.r#type.name());
            findings.error(path.field("type"), message);
            continue;
        }
        filter.check(&path, findings);
        let is_repeated = filters[..index].iter().any(|other| other.r#type == filter.r#type);
        if !filter.r#type.may_repeat() && is_repeated {
            let message =
                format!("found a second {}, expected one for each rule or backend", filter.r#type.name());
            findings.error(path.field("type"), message);
        }
    }
}

/// The header changes of filters.
pub(super) fn header_changes(filters: &[Filter]) -> HeaderChanges {
    let edits = |modifier: fn(&Filter) -> Option<&HeaderModifier>| -> HeaderEdits {
        filters.iter().find_map(modifier).map(HeaderModifier::edits).unwrap_or_default()
    };
    HeaderChanges {
        request: edits(|filter| filter.request_header_modifier.as_ref()),
        response: edits(|filter| filter.response_header_modifier.as_ref()),
    }
}

/// Whether a filter copies calls.
pub(super) fn mirrors(filters: &[Filter]) -> bool {
    filters.iter().any(|filter| filter.request_mirror.is_some())
}

/// Where copies of calls go, and for how many of a million calls. The filters of a rule are in order.
pub(super) fn mirrored_to(filters: &[Filter]) -> Vec<(BackendRef, u32)> {
    let mirrors = filters.iter().filter_map(|filter| filter.request_mirror.as_ref());
    mirrors.map(|mirror| (BackendRef::of(&mirror.backend_ref), mirror.share())).collect()
}

/// The services that get copies of calls, with the places of their filters.
pub(super) fn mirrors_by_place(filters: &[Filter]) -> impl Iterator<Item = (usize, BackendRef)> {
    let places = filters.iter().enumerate();
    places.filter_map(|(index, one)| Some((index, BackendRef::of(&one.request_mirror.as_ref()?.backend_ref))))
}

impl RequestMirror {
    /// Of a million calls.
    fn share(&self) -> u32 {
        let fraction = self.fraction.as_ref().map(|fraction| {
            let denominator = fraction.denominator.unwrap_or(100).max(1);
            (u64::from(fraction.numerator), u64::from(denominator))
        });
        let (part, whole) = fraction.unwrap_or_else(|| (u64::from(self.percent.unwrap_or(100)), 100));
        u32::try_from(part.min(whole) * 1_000_000 / whole).unwrap_or(1_000_000)
    }
}

impl FilterType {
    /// Those of a `GRPCRoute`.
    pub(in crate::kinds) const OF_GRPC_ROUTES: [Self; 4] =
        [Self::RequestHeaderModifier, Self::ResponseHeaderModifier, Self::RequestMirror, Self::ExtensionRef];
    /// Those of an `HTTPRoute`.
    pub(in crate::kinds) const OF_HTTP_ROUTES: [Self; 7] = [
        Self::RequestHeaderModifier,
        Self::ResponseHeaderModifier,
        Self::RequestMirror,
        Self::RequestRedirect,
        Self::UrlRewrite,
        Self::Cors,
        Self::ExtensionRef,
    ];
    /// Those of the backends of any route.
    pub(super) const OF_BACKENDS: [Self; 4] = Self::OF_GRPC_ROUTES;

    const fn may_repeat(self) -> bool {
        matches!(self, Self::RequestMirror | Self::ExtensionRef)
    }

    /// As it is written.
    const fn name(self) -> &'static str {
        match self {
            Self::RequestHeaderModifier => "RequestHeaderModifier",
            Self::ResponseHeaderModifier => "ResponseHeaderModifier",
            Self::RequestMirror => "RequestMirror",
            Self::RequestRedirect => "RequestRedirect",
            Self::UrlRewrite => "URLRewrite",
            Self::Cors => "CORS",
            Self::ExtensionRef => "ExtensionRef",
        }
    }
}

impl Filter {
    pub(super) fn redirect(&self) -> Option<&RequestRedirect> {
        self.request_redirect.as_ref()
    }

    pub(super) fn url_rewrite(&self) -> Option<&UrlRewrite> {
        self.url_rewrite.as_ref()
    }

    pub(super) fn cors(&self) -> Option<Cors> {
        self.cors.as_ref().map(CorsFilter::cors)
    }

    fn check(&self, path: &FieldPath, findings: &mut Findings) {
        let fields = [
            (
                FilterType::RequestHeaderModifier,
                "requestHeaderModifier",
                self.request_header_modifier.is_some(),
            ),
            (
                FilterType::ResponseHeaderModifier,
                "responseHeaderModifier",
                self.response_header_modifier.is_some(),
            ),
            (FilterType::RequestMirror, "requestMirror", self.request_mirror.is_some()),
            (FilterType::RequestRedirect, "requestRedirect", self.request_redirect.is_some()),
            (FilterType::UrlRewrite, "urlRewrite", self.url_rewrite.is_some()),
            (FilterType::Cors, "cors", self.cors.is_some()),
            (FilterType::ExtensionRef, "extensionRef", self.extension_ref.is_some()),
        ];
        for (of_type, field, is_set) in fields {
            let path = path.field(field);
            match (of_type == self.r#type, is_set) {
                (true, true) => self.check_field(&path, findings),
                (true, false) => findings.missing(path, "required, but not set"),
                (false, true) => {
                    let message =
                        format!("found {field}, expected only the field of the type {}", self.r#type.name());
                    findings.error(path, message);
                }
                (false, false) => {}
            }
        }
    }

    /// The field that belongs to the type.
    fn check_field(&self, path: &FieldPath, findings: &mut Findings) {
        match self.r#type {
            FilterType::ExtensionRef => {
                let message =
                    "rejected because no extension is known, and a rule must not run without its filter";
                findings.unsupported(path.clone(), message);
            }
            FilterType::RequestRedirect => {
                self.request_redirect.iter().for_each(|redirect| redirect.check(path, findings));
            }
            FilterType::UrlRewrite => {
                self.url_rewrite.iter().for_each(|rewrite| rewrite.check(path, findings));
            }
            FilterType::Cors => self.cors.iter().for_each(|cors| cors.check(path, findings)),
            FilterType::RequestMirror => {
                let message = "ignored by gRPC clients, only mesh-tonic and Envoy do it: nothing is mirrored";
                let finding = Finding::warning(path.clone(), message);
                findings.push(finding.of_clients(&[ClientFamily::Grpc]));
                self.check_mirror(path, findings);
            }
            FilterType::RequestHeaderModifier => {
                check_modifier(self.request_header_modifier.as_ref(), path, findings);
            }
            FilterType::ResponseHeaderModifier => {
                check_modifier(self.response_header_modifier.as_ref(), path, findings);
            }
        }
    }

    fn check_mirror(&self, path: &FieldPath, findings: &mut Findings) {
        let Some(mirror) = &self.request_mirror else { return };
        mirror.backend_ref.check_backend(&path.field("backendRef"), findings);
        if mirror.percent.is_some() && mirror.fraction.is_some() {
            findings.error(path.field("fraction"), "found both percent and fraction, expected one of them");
        }
        if let Some(percent) = mirror.percent.filter(|percent| *percent > 100) {
            findings.error(path.field("percent"), format!("found the number {percent}, expected 0 to 100"));
        }
        if let Some(fraction) = &mirror.fraction {
            let denominator = fraction.denominator.unwrap_or(100);
            if denominator == 0 || fraction.numerator > denominator {
                let message =
                    format!("found {}/{denominator}, expected a fraction from 0 to 1", fraction.numerator);
                findings.error(path.field("fraction"), message);
            }
        }
    }
}

fn check_modifier(modifier: Option<&HeaderModifier>, path: &FieldPath, findings: &mut Findings) {
    if let Some(modifier) = modifier {
        let finding = Finding::warning(path.clone(), header_changes::EFFECT);
        findings.push(finding.of_clients(&[ClientFamily::Grpc]));
        modifier.check(path, findings);
    }
}
