//! Tokens, key sets and requirements, in tables.

mod requirements;

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http::request::Parts;
use serde_json::{Value, json};

use super::*;
use crate::certificate::crypto;
use crate::testing::TokenIssuer;

const ISSUER: &str = "https://issuer.example";
const NOW: u64 = 1_700_000_000;

fn keys(issuers: &[&TokenIssuer]) -> KeySource {
    let text = TokenIssuer::key_set(issuers.iter().copied());
    KeySource::Inline(Arc::new(KeySet::parse(text.as_bytes()).unwrap()))
}

fn provider() -> JwtProvider {
    JwtProvider::new(ISSUER, keys(&[&TokenIssuer::new("one", 0)]))
}

fn audiences(names: &[&str]) -> Audiences {
    Audiences::new(names.iter().copied()).unwrap()
}

fn claims(more: &Value) -> Value {
    let mut all = json!({"iss": ISSUER, "sub": "me"});
    for (name, value) in more.as_object().unwrap() {
        all[name] = value.clone();
    }
    all
}

fn signed(more: &Value) -> String {
    TokenIssuer::new("one", 0).sign(&claims(more))
}

fn head(uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::post(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn bearer(token: &str) -> Parts {
    head("http://svc/pkg.Svc/Get", &[("authorization", &format!("Bearer {token}"))])
}

/// The verdict of these providers, by the names `a`, `b` and so on.
fn check(
    providers: &[JwtProvider],
    requirement: &JwtRequirement,
    head: &Parts,
) -> Result<Vec<usize>, JwtError> {
    let position = |name: &str| Some(usize::from(name.as_bytes()[0] - b'a'));
    let plan = RequirementPlan::new(requirement, position, providers.len()).unwrap();
    let keys = |index: usize| match &providers[index].keys {
        KeySource::Inline(keys) => Some(keys.clone()),
        KeySource::Remote(_) => None,
    };
    let crypto = crypto().unwrap();
    let known = crypto.signature_verification_algorithms.all;
    let context = CheckContext { now: Duration::from_secs(NOW), providers, keys: &keys, known };
    let checked = plan.check(head, &context);
    checked.map(|accepted| accepted.0.iter().map(|(provider, _)| *provider).collect()).map_err(|no| no.error)
}

fn only(name: &str) -> JwtRequirement {
    JwtRequirement::Provider(name.to_owned(), None)
}

fn verdict(provider: JwtProvider, token: &str) -> Result<(), JwtError> {
    check(&[provider], &only("a"), &bearer(token)).map(|believed| assert_eq!(believed, [0]))
}

/// Signatures that another library has made; each algorithm fits one kind of key.
///
/// Row J3 of the identity cases, the algorithms.
#[test]
fn algorithms_of_rsa_and_ecdsa_are_believed_and_no_other() {
    let set = KeySet::parse(include_bytes!("keys.json")).unwrap();
    let provider = || JwtProvider::new(ISSUER, KeySource::Inline(Arc::new(set.clone())));
    let tokens: Vec<_> =
        include_str!("tokens.txt").lines().map(|line| line.split_once(' ').unwrap()).collect();
    assert_eq!(tokens.len(), 9);
    for (algorithm, token) in &tokens {
        assert_eq!(verdict(provider(), token), Ok(()), "{algorithm}");
        let cut = token.len() - 8;
        let changed = format!("{}AAAAAAAA", &token[..cut]);
        let refused = verdict(provider(), &changed).unwrap_err();
        assert!([JwtError::Signature, JwtError::Malformed].contains(&refused), "{algorithm} {refused:?}");
    }
    let issuer = TokenIssuer::new("es256", 0);
    for algorithm in ["none", "None", "", "HS256", "HS512", "EdDSA", "es256", "RS1"] {
        let token = issuer.sign_with(&json!({"alg": algorithm, "kid": "es256"}), &claims(&json!({})));
        assert_eq!(verdict(provider(), &token), Err(JwtError::Algorithm), "{algorithm}");
    }
    // a key of another kind under the name that the token states
    for algorithm in ["RS256", "PS256", "ES384", "ES512"] {
        let token = TokenIssuer::new("one", 0)
            .sign_with(&json!({"alg": algorithm, "kid": "one"}), &claims(&json!({})));
        assert_eq!(verdict(self::provider(), &token), Err(JwtError::UnknownKey), "{algorithm}");
    }
}

#[test]
fn tokens_in_another_form_are_malformed() {
    let token = signed(&json!({}));
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("three parts") };
    let issuer = TokenIssuer::new("one", 0);
    let header_with = |header: &Value| issuer.sign_with(header, &claims(&json!({})));
    let rows = [
        (String::new(), JwtError::Malformed),
        ("a".to_owned(), JwtError::Malformed),
        (format!("{header}.{payload}"), JwtError::Malformed),
        (format!("{header}.{payload}.{signature}.a.b"), JwtError::Malformed),
        (format!("{header}=.{payload}.{signature}"), JwtError::Malformed),
        (format!("{header}.{payload}.{signature}="), JwtError::Malformed),
        (format!("{header}.{payload}."), JwtError::Signature),
        (format!("{header}.{payload}.{}", &signature[..84]), JwtError::Signature),
        ("a".repeat(17 << 10), JwtError::Malformed),
        (header_with(&json!([])), JwtError::Malformed),
        (header_with(&json!({"kid": "one"})), JwtError::Malformed),
        (header_with(&json!({"alg": "ES256", "kid": 1})), JwtError::Malformed),
        (header_with(&json!({"alg": "ES256", "kid": "one", "crit": ["exp"]})), JwtError::Critical),
        (header_with(&json!({"alg": "ES256", "kid": "one", "crit": []})), JwtError::Critical),
        (header_with(&json!({"alg": ["ES256"], "kid": "one"})), JwtError::Malformed),
    ];
    for (token, expected) in rows {
        assert_eq!(verdict(provider(), &token), Err(expected), "{token}");
    }
    assert_eq!(verdict(provider(), &token), Ok(()));
}

/// Row J3 of the identity cases, the claims: both halves.
///
/// Proves: HF-43.
#[test]
fn claims_decide_by_issuer_times_and_audience() {
    let plain = provider;
    let for_us = || provider().with_audiences(audiences(&["us", "also-us"]));
    let expiring = || JwtProvider { require_expiration: true, ..provider() };
    let short = || JwtProvider { max_lifetime: Some(Duration::from_secs(100)), ..provider() };
    let svid = json!({"sub": "spiffe://td/a", "aud": "us", "exp": NOW + 9});
    let without = |name: &str| {
        let mut claims = svid.clone();
        claims.as_object_mut().unwrap().remove(name);
        claims
    };
    let rows: Vec<(JwtProvider, Value, Result<(), JwtError>)> = vec![
        (plain(), json!({}), Ok(())),
        (plain(), json!({"iss": "https://other.example"}), Err(JwtError::Issuer)),
        (plain(), json!({"iss": 1}), Err(JwtError::Malformed)),
        (plain(), json!({"exp": NOW + 1}), Ok(())),
        // 60 s of leeway
        (plain(), json!({"exp": NOW - 59}), Ok(())),
        (plain(), json!({"exp": NOW - 60}), Err(JwtError::Expired)),
        (plain(), json!({"exp": -1}), Err(JwtError::Expired)),
        (plain(), json!({"exp": 1e300}), Ok(())),
        (plain(), json!({"exp": "soon"}), Err(JwtError::Malformed)),
        (plain(), json!({"nbf": NOW + 60}), Ok(())),
        (plain(), json!({"nbf": NOW + 61}), Err(JwtError::NotYetValid)),
        (plain(), json!({"nbf": null}), Err(JwtError::Malformed)),
        (expiring(), json!({}), Err(JwtError::NoExpiry)),
        (expiring(), json!({"exp": NOW + 1}), Ok(())),
        (short(), json!({}), Err(JwtError::NoExpiry)),
        (short(), json!({"exp": NOW + 100}), Ok(())),
        (short(), json!({"exp": NOW + 101}), Err(JwtError::LivesTooLong)),
        (for_us(), json!({}), Err(JwtError::Audience)),
        (for_us(), json!({"aud": "us"}), Ok(())),
        (for_us(), json!({"aud": ["them", "also-us"]}), Ok(())),
        (for_us(), json!({"aud": "them"}), Err(JwtError::Audience)),
        (for_us(), json!({"aud": []}), Err(JwtError::Audience)),
        (for_us(), json!({"aud": ["us", 1]}), Err(JwtError::Malformed)),
        (for_us(), json!({"aud": {"us": "us"}}), Err(JwtError::Malformed)),
        (plain(), json!({"aud": "them"}), Ok(())),
        (for_us(), svid.clone(), Ok(())),
        (for_us(), without("exp"), Err(JwtError::NoExpiry)),
        (for_us(), without("aud"), Err(JwtError::Audience)),
        // the audiences of a workload's token must be checked
        (plain(), svid.clone(), Err(JwtError::Audience)),
    ];
    for (provider, more, expected) in rows {
        assert_eq!(verdict(provider.clone(), &signed(&more)), expected, "{more} {provider:?}");
    }
    assert_eq!(Audiences::new([""; 0]), Err(NoAudience));
    assert_eq!(Audiences::new(["us", ""]), Err(NoAudience));
    assert_eq!(JwtError::Audience.status().as_u16(), 403);
    assert_eq!(JwtError::Expired.status().as_u16(), 401);
}

/// Row J5 of the identity cases, the keys.
#[test]
fn tokens_without_a_key_name_are_tried_with_every_key_that_fits() {
    let [one, two, other] =
        [("one", 0), ("two", 1), ("three", 2)].map(|(name, key)| TokenIssuer::new(name, key));
    let provider = || JwtProvider::new(ISSUER, keys(&[&one, &two]));
    let nameless = json!({"alg": "ES256"});
    for (issuer, expected) in [(&one, Ok(())), (&two, Ok(())), (&other, Err(JwtError::UnknownKey))] {
        let token = issuer.sign_with(&nameless, &claims(&json!({})));
        assert_eq!(verdict(provider(), &token), expected, "{issuer:?}");
    }
    assert_eq!(verdict(provider(), &other.sign(&claims(&json!({})))), Err(JwtError::UnknownKey));
    // another issuer's key under a known name
    let forged = TokenIssuer::new("one", 2).sign(&claims(&json!({})));
    assert_eq!(verdict(provider(), &forged), Err(JwtError::Signature));
}

/// Row J6 of the identity cases, the answers that are no key set.
#[test]
fn only_a_list_with_a_usable_key_is_a_key_set() {
    let good = TokenIssuer::new("one", 0).public();
    let with = |changes: &Value| {
        let mut key = good.clone();
        for (name, value) in changes.as_object().unwrap() {
            key[name] = value.clone();
        }
        json!({"keys": [key]}).to_string()
    };
    let accepted = [
        with(&json!({})),
        with(&json!({"alg": "ES256", "key_ops": ["sign", "verify"]})),
        json!({"keys": [{"kty": "oct", "k": "AAAA"}, {"kty": "OKP", "crv": "Ed25519", "x": "AA"}, good]})
            .to_string(),
    ];
    for text in accepted {
        assert!(KeySet::parse(text.as_bytes()).is_ok(), "{text}");
    }
    let refused = [
        String::new(),
        "<html>".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        json!({"keys": {}}).to_string(),
        json!({"keys": []}).to_string(),
        json!({"keys": ["key"]}).to_string(),
        json!({"keys": [{"kty": "oct", "k": "AAAA"}]}).to_string(),
        json!({"keys": vec![good.clone(); 65]}).to_string(),
        with(&json!({"kty": null})),
        with(&json!({"crv": "P-192"})),
        with(&json!({"x": "AA"})),
        with(&json!({"x": "!"})),
        with(&json!({"use": "enc"})),
        with(&json!({"key_ops": ["sign"]})),
        with(&json!({"alg": "RS256"})),
        with(&json!({"alg": "none"})),
        json!({"keys": [{"kty": "RSA", "n": "AQ"}]}).to_string(),
    ];
    for text in refused {
        assert!(KeySet::parse(text.as_bytes()).is_err(), "{text}");
    }
}
