//! A token in its compact form (RFC 7515 section 7.1).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::JwtError;
use super::algorithm::JwtAlgorithm;

/// A token whose parts have been read and not yet believed.
#[derive(Debug)]
pub(crate) struct Token<'t> {
    /// What is signed: header and payload as they were sent.
    pub(super) signed: &'t str,
    pub(super) signature: Vec<u8>,
    pub(super) algorithm: JwtAlgorithm,
    /// The name of the issuer's key.
    pub(super) key_id: Option<String>,
    pub(super) header: Map<String, Value>,
    /// The payload as it was sent, in base64url.
    pub(super) payload: &'t str,
    pub(super) claims: Map<String, Value>,
}

impl<'t> Token<'t> {
    /// Reads a token.
    ///
    /// # Errors
    /// It is no signed token, or one of a kind that is never believed.
    pub(crate) fn parse(text: &'t str) -> Result<Self, JwtError> {
        if text.len() > MAX_LENGTH {
            return Err(JwtError::Malformed);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(JwtError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(JwtError::Malformed)?;
        let header = object(header)?;
        // RFC 7515 section 4.1.11: what an extension demands cannot be ignored
        if header.contains_key("crit") {
            return Err(JwtError::Critical);
        }
        let algorithm = header.get("alg").and_then(Value::as_str).ok_or(JwtError::Malformed)?;
        let algorithm = JwtAlgorithm::named(algorithm).ok_or(JwtError::Algorithm)?;
        let key_id = match header.get("kid") {
            None => None,
            Some(Value::String(id)) => Some(id.clone()),
            Some(_) => return Err(JwtError::Malformed),
        };
        let (claims, signature) = (object(payload)?, decode(signature)?);
        Ok(Self { signed, signature, algorithm, key_id, header, payload, claims })
    }
}

impl<'t> Token<'t> {
    pub(crate) fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    pub(crate) fn header(&self) -> &Map<String, Value> {
        &self.header
    }

    /// The payload as it was sent, in base64url.
    pub(crate) fn payload(&self) -> &'t str {
        self.payload
    }
}

/// A part that is an object in JSON. A dot in it, as five parts would have, is no base64url.
fn object(part: &str) -> Result<Map<String, Value>, JwtError> {
    match serde_json::from_slice(&decode(part)?) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) | Err(_) => Err(JwtError::Malformed),
    }
}

fn decode(part: &str) -> Result<Vec<u8>, JwtError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| JwtError::Malformed)
}

/// The longest token that is read.
const MAX_LENGTH: usize = 16 << 10;
