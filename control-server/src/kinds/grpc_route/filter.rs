//! Filters of a `GRPCRoute`: typed, and without effect on gRPC clients.

use serde::Deserialize;

use super::Reference;
use crate::finding::Findings;
use crate::yaml::FieldPath;

/// What is done to a call on its way.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Filter {
    r#type: FilterType,
    request_header_modifier: Option<HeaderModifier>,
    response_header_modifier: Option<HeaderModifier>,
    request_mirror: Option<RequestMirror>,
    extension_ref: Option<ExtensionRef>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum FilterType {
    RequestHeaderModifier,
    ResponseHeaderModifier,
    RequestMirror,
    ExtensionRef,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct HeaderModifier {
    set: Vec<Header>,
    add: Vec<Header>,
    remove: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Header {
    name: String,
    value: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestMirror {
    backend_ref: Reference,
    percent: Option<u32>,
    fraction: Option<Fraction>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Fraction {
    numerator: u32,
    denominator: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct ExtensionRef {
    group: String,
    kind: String,
    name: String,
}

impl Filter {
    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        let (field, is_set) = match self.r#type {
            FilterType::RequestHeaderModifier => {
                ("requestHeaderModifier", self.request_header_modifier.is_some())
            }
            FilterType::ResponseHeaderModifier => {
                ("responseHeaderModifier", self.response_header_modifier.is_some())
            }
            FilterType::RequestMirror => ("requestMirror", self.request_mirror.is_some()),
            FilterType::ExtensionRef => ("extensionRef", self.extension_ref.is_some()),
        };
        if !is_set {
            findings.error(path.field(field), "required, but not set");
            return;
        }
        match self.r#type {
            FilterType::ExtensionRef => {
                let message =
                    "rejected because no extension is known, and a rule must not run without its filter";
                findings.error(path.field(field), message);
            }
            FilterType::RequestMirror => {
                findings.warning(path.field(field), "ignored by gRPC clients: nothing is mirrored");
                self.check_mirror(&path.field(field), findings);
            }
            FilterType::RequestHeaderModifier | FilterType::ResponseHeaderModifier => {
                findings.warning(path.field(field), "ignored by gRPC clients: they do not change headers");
            }
        }
    }

    fn check_mirror(&self, path: &FieldPath, findings: &mut Findings) {
        let Some(mirror) = &self.request_mirror else { return };
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
