//! What a token claims, and whether a provider believes it.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::policy::identity::SpiffeId;

use super::algorithm::Signatures;
use super::{Audiences, JwtError, JwtProvider, KeySet, Token};

/// Whether `provider` believes the token, at this time of the Unix epoch. The cheap checks come first, so that only a token that
/// could be the issuer's makes anyone look for keys.
pub(super) fn check(
    now: Duration,
    token: &Token<'_>,
    provider: &JwtProvider,
    audiences: Option<&Audiences>,
    (keys, known): (Option<&KeySet>, &Signatures),
) -> Result<(), JwtError> {
    let Token { claims, .. } = token;
    let subject = text(claims, "sub")?;
    let is_of_workload = subject.is_some_and(|subject| SpiffeId::parse(subject).is_ok());
    let issuer = text(claims, "iss")?;
    if provider.issuer.is_some() && issuer != provider.issuer.as_deref() {
        return Err(JwtError::Issuer);
    }
    check_times(now, claims, provider, is_of_workload)?;
    if let Some(expected) = &provider.subjects
        && !subject.is_some_and(|subject| expected.matches(subject))
    {
        return Err(JwtError::Subject);
    }
    check_audience(claims, audiences, is_of_workload)?;
    keys.ok_or(JwtError::NoKeys)?.verify(token, known)
}

fn check_times(
    now: Duration,
    claims: &Map<String, Value>,
    provider: &JwtProvider,
    is_of_workload: bool,
) -> Result<(), JwtError> {
    let (now, leeway) = (now.as_secs_f64(), provider.leeway.as_secs_f64());
    let not_before = time(claims, "nbf")?;
    match time(claims, "exp")? {
        // J3: tokens of workloads always have one
        None if is_of_workload || provider.require_expiration || provider.max_lifetime.is_some() => {
            return Err(JwtError::NoExpiry);
        }
        None => {}
        Some(end) if now >= end + leeway => return Err(JwtError::Expired),
        Some(end) => {
            let longest = provider.max_lifetime.map(|longest| now + longest.as_secs_f64());
            if longest.is_some_and(|longest| end > longest) {
                return Err(JwtError::LivesTooLong);
            }
        }
    }
    match not_before {
        Some(start) if now + leeway < start => Err(JwtError::NotYetValid),
        _ => Ok(()),
    }
}

// J3
fn check_audience(
    claims: &Map<String, Value>,
    audiences: Option<&Audiences>,
    is_of_workload: bool,
) -> Result<(), JwtError> {
    let named: Vec<&str> = match claims.get("aud") {
        None => Vec::new(),
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => {
            let texts = several.iter().map(|one| one.as_str().ok_or(JwtError::Malformed));
            texts.collect::<Result<_, _>>()?
        }
        Some(_) => return Err(JwtError::Malformed),
    };
    match audiences {
        None if is_of_workload => Err(JwtError::Audience),
        None => Ok(()),
        Some(own) if named.iter().any(|one| own.contain(one)) => Ok(()),
        Some(_) => Err(JwtError::Audience),
    }
}

fn text<'c>(claims: &'c Map<String, Value>, name: &str) -> Result<Option<&'c str>, JwtError> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or(JwtError::Malformed),
    }
}

/// A time in seconds of the Unix epoch.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<f64>, JwtError> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or(JwtError::Malformed),
    }
}
