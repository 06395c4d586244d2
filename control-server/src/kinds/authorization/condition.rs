//! `when`: further conditions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Action, source, value};
use crate::finding::Findings;
use crate::yaml::FieldPath;

/// A property of the call and its values.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Condition {
    key: String,
    #[serde(default)]
    pub(crate) values: Vec<String>,
    #[serde(default)]
    pub(crate) not_values: Vec<String>,
}

/// The property that a condition is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConditionKey {
    /// In lower case.
    Header(String),
    SourceAddress,
    RemoteAddress,
    SourceNamespace,
    SourcePrincipal,
    DestinationAddress,
    DestinationPort,
    RequestPrincipal,
    Audiences,
    Presenter,
    /// The steps to a claim.
    Claim(Vec<String>),
}

impl Condition {
    /// `None`: no server knows the property; [`Self::check`] refuses it.
    pub(crate) fn key(&self) -> Option<ConditionKey> {
        if let Some(name) = self.key.strip_prefix("request.headers") {
            let names = steps(name)?;
            let [name] = names.as_slice() else { return None };
            return Some(ConditionKey::Header(name.to_ascii_lowercase()));
        }
        if let Some(path) = self.key.strip_prefix("request.auth.claims") {
            return steps(path).filter(|path| !path.is_empty()).map(ConditionKey::Claim);
        }
        Some(match self.key.as_str() {
            "source.ip" => ConditionKey::SourceAddress,
            "remote.ip" => ConditionKey::RemoteAddress,
            "source.namespace" => ConditionKey::SourceNamespace,
            "source.principal" => ConditionKey::SourcePrincipal,
            "destination.ip" => ConditionKey::DestinationAddress,
            "destination.port" => ConditionKey::DestinationPort,
            "request.auth.principal" => ConditionKey::RequestPrincipal,
            "request.auth.audiences" => ConditionKey::Audiences,
            "request.auth.presenter" => ConditionKey::Presenter,
            _ => return None,
        })
    }

    pub(super) fn check(&self, action: Action, path: &FieldPath, findings: &mut Findings) {
        if self.values.is_empty() && self.not_values.is_empty() {
            findings.error(path.clone(), "found neither values nor notValues, expected one of them");
        }
        let fields = [("values", &self.values), ("notValues", &self.not_values)];
        let Some(key) = self.key() else {
            let message = format!("found `{}`, expected one of {}", self.key, KEYS.join(", "));
            findings.unsupported(path.field("key"), message);
            return;
        };
        for (name, values) in fields {
            let path = path.field(name);
            match &key {
                ConditionKey::SourceAddress
                | ConditionKey::RemoteAddress
                | ConditionKey::DestinationAddress => {
                    source::ranges(values, &path, findings);
                }
                ConditionKey::DestinationPort => source::ports(values, &path, findings),
                ConditionKey::SourcePrincipal => {
                    value::check(values, &path, findings);
                    source::principals(values, action, &path, findings);
                }
                _ => value::check(values, &path, findings),
            }
        }
        if let ConditionKey::Header(name) = &key {
            self.check_header(name, action, path, findings);
        }
    }

    fn check_header(&self, name: &str, action: Action, path: &FieldPath, findings: &mut Findings) {
        let path = path.field("key");
        if name.starts_with(':') || name.starts_with("grpc-") {
            let message = format!(
                "found `{name}`, expected a header of the application: servers refuse rules about this one"
            );
            findings.unsupported(path, message);
        } else if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            findings.error(path, format!("found `{name}`, expected a header's name"));
        } else if name != "host" && action == Action::Deny {
            let is_exact = |one: &&String| matches!(value::Text::parse(one), value::Text::Exact(_));
            // B3 of the identity cases: `guest` twice is `guest,guest` for a rule.
            if let Some(exact) = self.values.iter().find(is_exact) {
                let message = format!(
                    "a call with the header twice passes: its values are joined by a comma, and that is not `{exact}`; deny with `*`, or allow what may pass"
                );
                findings.warning(path, message);
            }
        }
    }
}

/// The names in `[a][b]`, each taken literally (J7 of the identity cases).
fn steps(text: &str) -> Option<Vec<String>> {
    let mut rest = text;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let (step, behind) = rest.strip_prefix('[')?.split_once(']')?;
        if step.is_empty() {
            return None;
        }
        steps.push(step.to_owned());
        rest = behind;
    }
    Some(steps)
}

const KEYS: [&str; 11] = [
    "request.headers[NAME]",
    "source.ip",
    "remote.ip",
    "source.namespace",
    "source.principal",
    "destination.ip",
    "destination.port",
    "request.auth.principal",
    "request.auth.audiences",
    "request.auth.presenter",
    "request.auth.claims[NAME]",
];
