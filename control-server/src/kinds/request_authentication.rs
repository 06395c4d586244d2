//! `RequestAuthentication`: whose tokens (JWT) servers accept.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ProtoDuration;
use super::target::{self, Selector, TargetRef};
use crate::finding::Findings;
use crate::yaml::{FieldPath, Node, decode};

/// Rules for the tokens of requests. A request without a token passes; one whose token no rule accepts is refused.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RequestAuthentication {
    pub(crate) selector: Option<Selector>,
    #[serde(default)]
    pub(crate) target_refs: Vec<TargetRef>,
    #[serde(default)]
    pub(crate) jwt_rules: Vec<JwtRule>,
}

/// The tokens of one issuer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JwtRule {
    pub(crate) issuer: String,
    #[serde(default)]
    pub(crate) audiences: Vec<String>,
    pub(crate) jwks_uri: Option<String>,
    pub(crate) jwks: Option<String>,
    #[serde(default)]
    pub(crate) from_headers: Vec<FromHeader>,
    #[serde(default)]
    pub(crate) from_params: Vec<String>,
    #[serde(default)]
    pub(crate) from_cookies: Vec<String>,
    pub(crate) output_payload_to_header: Option<String>,
    #[serde(default)]
    pub(crate) forward_original_token: bool,
    #[serde(default)]
    pub(crate) output_claim_to_headers: Vec<ClaimToHeader>,
    /// Of a fetch of the keys; 5 s by default.
    pub(crate) timeout: Option<ProtoDuration>,
    #[serde(default)]
    pub(crate) space_delimited_claims: Vec<String>,
}

/// A header that holds the token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct FromHeader {
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) prefix: String,
}

/// A claim that is written into a header.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(crate) struct ClaimToHeader {
    pub(crate) header: String,
    pub(crate) claim: String,
}

pub(crate) fn read(
    spec: &Node,
    path: &FieldPath,
    namespace: &str,
    findings: &mut Findings,
) -> Option<RequestAuthentication> {
    let policy: RequestAuthentication = decode(spec, path, findings)?;
    target::check(spec, policy.selector.as_ref(), &policy.target_refs, namespace, findings);
    let path = path.field("jwtRules");
    for (index, (rule, node)) in policy.jwt_rules.iter().zip(spec.items("jwtRules")).enumerate() {
        target::refuse_nothing(node, &path.index(index), findings);
        rule.check(&path.index(index), findings);
    }
    Some(policy)
}

impl JwtRule {
    fn check(&self, path: &FieldPath, findings: &mut Findings) {
        if self.issuer.is_empty() {
            findings.error(path.field("issuer"), "found no text, expected the value of the claim `iss`");
        }
        match (&self.jwks_uri, &self.jwks) {
            (Some(_), Some(_)) => {
                findings.error(path.field("jwks"), "found both jwks and jwksUri, expected one of them");
            }
            (Some(uri), None) => check_uri(uri, &path.field("jwksUri"), findings),
            (None, Some(keys)) => check_keys(keys, &path.field("jwks"), findings),
            (None, None) => {
                let message = "expected jwks or jwksUri: the issuer is not asked where its keys are";
                findings.unsupported(path.clone(), message);
            }
        }
        // J3 of the identity cases: an empty audience would match nothing, or everything.
        for (index, audience) in self.audiences.iter().enumerate().filter(|(_, one)| one.is_empty()) {
            let message = format!("found `{audience}`, expected an audience");
            findings.error(path.field("audiences").index(index), message);
        }
        let headers = path.field("fromHeaders");
        for (index, header) in self.from_headers.iter().enumerate() {
            let path = headers.index(index).field("name");
            check_header(&header.name, &path, findings);
        }
        if let Some(header) = &self.output_payload_to_header {
            check_header(header, &path.field("outputPayloadToHeader"), findings);
        }
        let claims = path.field("outputClaimToHeaders");
        for (index, one) in self.output_claim_to_headers.iter().enumerate() {
            check_header(&one.header, &claims.index(index).field("header"), findings);
        }
        if self.timeout.is_some_and(|timeout| timeout.0.is_zero()) {
            findings.error(path.field("timeout"), "found 0s, expected a duration of at least 1ms");
        }
    }
}

fn check_header(name: &str, path: &FieldPath, findings: &mut Findings) {
    if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        findings.error(path.clone(), format!("found `{name}`, expected a header's name"));
    }
}

fn check_uri(text: &str, path: &FieldPath, findings: &mut Findings) {
    let uri = text.parse::<http::Uri>().ok();
    let scheme = uri.as_ref().and_then(http::Uri::scheme_str);
    let has_host = uri.as_ref().and_then(http::Uri::host).is_some_and(|host| !host.is_empty());
    match scheme {
        Some("https") if has_host => {}
        Some("http") if has_host => {
            let message = "keys that are fetched without TLS can be replaced on their way: expected https://";
            findings.warning(path.clone(), message);
        }
        _ => findings.error(
            path.clone(),
            format!("found `{text}`, expected a URL such as https://issuer.example/keys"),
        ),
    }
}

/// J6 of the identity cases: an answer that is no key set must never reach a server.
fn check_keys(text: &str, path: &FieldPath, findings: &mut Findings) {
    if let Err(reason) = keys(text) {
        findings.error(path.clone(), format!("expected a JSON Web Key Set with public keys: {reason}"));
    }
}

fn keys(text: &str) -> Result<(), String> {
    let set: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let keys = set.get("keys").and_then(Value::as_array).ok_or("it has no list `keys`")?;
    if keys.is_empty() {
        return Err("its list `keys` is empty".to_owned());
    }
    let problem = keys.iter().enumerate().find_map(|(index, key)| {
        let problem = problem_of_key(key)?;
        Some(format!("keys[{index}] {problem}"))
    });
    problem.map_or(Ok(()), Err)
}

fn problem_of_key(key: &Value) -> Option<String> {
    let parts: &[&str] = match key.get("kty").and_then(Value::as_str) {
        Some("RSA") => &["n", "e"],
        Some("EC") => &["x", "y"],
        Some("OKP") => &["x"],
        Some(other) => return Some(format!("has the type {other}, expected RSA, EC or OKP")),
        None => return Some("has no type `kty`".to_owned()),
    };
    let is_encoded = |name: &&&str| {
        let text = key.get(**name).and_then(Value::as_str).unwrap_or_default();
        text.is_empty() || URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).is_err()
    };
    parts.iter().find(is_encoded).map(|name| format!("has no number `{name}` in base64url"))
}
