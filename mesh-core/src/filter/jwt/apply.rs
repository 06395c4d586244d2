//! What a believed token changes in the request.

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use http::{HeaderValue, request};
use serde_json::{Map, Value};

use crate::policy::jwt::{Accepted, ClaimHeader, FoundToken, JwtProvider, Token, remove};
use crate::policy::matcher::DynamicMetadata;

/// Removes tokens that are not for the application, and writes what they claim to headers and metadata.
// HF-44
pub(super) fn apply(accepted: Accepted, providers: &[JwtProvider], head: &mut request::Parts) {
    for (provider, found) in accepted.0 {
        apply_one(&found, &providers[provider], head);
    }
}

fn apply_one(found: &FoundToken, provider: &JwtProvider, head: &mut request::Parts) {
    // it has been read before, and so it can be again
    let Ok(token) = Token::parse(found.text()) else { return };
    if !provider.forward {
        remove(found.location(), head);
    }
    if let Some(header) = &provider.payload_header {
        let payload = match header.is_padded {
            true => URL_SAFE_NO_PAD.decode(token.payload()).map(|bytes| URL_SAFE.encode(bytes)).ok(),
            false => Some(token.payload().to_owned()),
        };
        let value = payload.and_then(|payload| HeaderValue::from_str(&payload).ok());
        value.map(|value| head.headers.insert(header.name.clone(), value));
    }
    for header in &provider.claim_headers {
        let value = claim(header, token.claims()).and_then(text);
        let value = value.and_then(|text| HeaderValue::from_str(&text).ok());
        value.map(|value| head.headers.insert(header.name.clone(), value));
    }
    let metadata = head.extensions.get_or_insert_default::<DynamicMetadata>();
    if let Some(field) = &provider.payload_field {
        metadata.insert(NAMESPACE, field, split(token.claims().clone(), &provider.split_claims).into());
    }
    if let Some(field) = &provider.header_field {
        metadata.insert(NAMESPACE, field, token.header().clone().into());
    }
}

fn claim<'c>(header: &ClaimHeader, claims: &'c Map<String, Value>) -> Option<&'c Value> {
    let (first, rest) = header.path.split_first()?;
    rest.iter().try_fold(claims.get(first)?, |value, step| value.as_object()?.get(step))
}

fn text(claim: &Value) -> Option<String> {
    match claim {
        Value::Null => None,
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Array(_) | Value::Object(_) => Some(URL_SAFE_NO_PAD.encode(claim.to_string())),
    }
}

/// Texts with spaces as lists.
fn split(mut claims: Map<String, Value>, names: &[String]) -> Map<String, Value> {
    for name in names {
        if let Some(claim) = claims.get_mut(name)
            && let Some(text) = claim.as_str()
        {
            *claim = text.split(' ').filter(|part| !part.is_empty()).map(Value::from).collect();
        }
    }
    claims
}

/// Under which rules of later filters find what tokens claim.
const NAMESPACE: &str = "envoy.filters.http.jwt_authn";
