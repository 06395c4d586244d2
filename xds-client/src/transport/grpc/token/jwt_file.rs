//! A JSON web token in a file.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

use super::cache::Token;
use crate::transport::TransportError;

/// Reads the file's token. Only its expiry is read; the server checks the rest.
///
/// # Errors
/// With the name of a gRPC status, as gRFC A97 has it (BS-15).
pub(super) fn read(path: &Path, unix_now: Duration) -> Result<Token, TransportError> {
    let failed = |status: &str, reason: &dyn std::fmt::Display| {
        TransportError::credentials(format!("{status}: jwt_token_file {}: {reason}", path.display()))
    };
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(LIMIT).read_to_string(&mut text))
        .map_err(|error| failed("UNAVAILABLE", &error))?;
    let text = text.trim();
    let expires = expiry(text).map_err(|reason| failed("UNAUTHENTICATED", &reason))?;
    match expires.checked_sub(unix_now) {
        Some(valid_for) if !valid_for.is_zero() => Token::new(text, valid_for),
        _ => Err(failed("UNAUTHENTICATED", &"the token has expired")),
    }
}

/// The `exp` of a token, since 1970.
fn expiry(token: &str) -> Result<Duration, &'static str> {
    let mut parts = token.split('.');
    let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("no JSON web token: expected three parts with dots between them");
    };
    let claims = LENIENT.decode(claims).map_err(|_| "no JSON web token: the second part is not base64url")?;
    let claims: Value =
        serde_json::from_slice(&claims).map_err(|_| "no JSON web token: the second part is not JSON")?;
    let expires =
        claims.get("exp").and_then(Value::as_f64).ok_or("the token has no exp, or it is no number")?;
    Duration::try_from_secs_f64(expires).map_err(|_| "the token's exp is out of range")
}

/// With or without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// In bytes. A longer file is cut, and then is no valid token.
const LIMIT: u64 = 64 << 10;
