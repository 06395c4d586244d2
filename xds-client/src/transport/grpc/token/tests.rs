//! Tokens from files.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use http::HeaderValue;
use rcgen::{KeyPair, PKCS_RSA_SHA256, PublicKeyData, RsaKeySize};
use serde_json::{Value, json};
use tokio_rustls::rustls::SignatureScheme;

use super::google::{credentials_file, sign_with};
use super::{TokenSource, Tokens, unix_now};
use crate::certificate::crypto;

fn jwt(claims: &Value) -> String {
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

fn expiring_in(seconds: u64) -> String {
    jwt(&json!({"exp": unix_now().as_secs() + seconds}))
}

fn bearer(token: &str) -> HeaderValue {
    HeaderValue::try_from(format!("Bearer {token}")).unwrap()
}

/// Proves: BS-14, BS-15, BS-16.
#[tokio::test(start_paused = true)]
async fn rotated_file_is_seen_before_the_old_token_expires() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let tokens = Tokens::new(TokenSource::JwtFile(path.clone()));
    let error = tokens.authorization().await.unwrap_err().to_string();
    assert!(error.starts_with("UNAVAILABLE: jwt_token_file ") && error.contains("No such file"), "{error}");
    let (first, second) = (expiring_in(200), expiring_in(10_000));
    std::fs::write(&path, format!("{first}\n")).unwrap();
    assert_eq!(tokens.authorization().await.unwrap_err().to_string(), error, "not read in backoff");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let header = tokens.authorization().await.unwrap();
    assert_eq!(header, bearer(&first));
    assert!(header.is_sensitive());
    std::fs::write(&path, &second).unwrap();
    assert_eq!(tokens.authorization().await.unwrap(), bearer(&first), "cached");
    tokio::time::sleep(Duration::from_secs(130)).await;
    assert_eq!(tokens.authorization().await.unwrap(), bearer(&first), "still valid while it is read again");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(tokens.authorization().await.unwrap(), bearer(&second));
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_share_one_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let token = expiring_in(200);
    std::fs::write(&path, &token).unwrap();
    let tokens = Tokens::new(TokenSource::JwtFile(path.clone()));
    let (one, other) = tokio::join!(tokens.authorization(), tokens.authorization());
    assert_eq!((one.unwrap(), other.unwrap()), (bearer(&token), bearer(&token)));
}

/// Proves: BS-15.
#[test]
fn invalid_token_is_unauthenticated_with_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let padded = format!("e30.{}.c2ln", URL_SAFE.encode(json!({"exp": 4e9, "a": 1}).to_string()));
    let read = |content: &str| {
        std::fs::write(&path, content).unwrap();
        TokenSource::JwtFile(path.clone()).read(Duration::from_secs(1_000))
    };
    for fine in [padded.as_str(), &jwt(&json!({"exp": 1_001})), &jwt(&json!({"exp": 1e300_f64.min(9e18)}))] {
        assert!(read(fine).is_ok(), "{fine}: {:?}", read(fine));
    }
    let rows = [
        ("".to_owned(), "three parts"),
        ("a.b".to_owned(), "three parts"),
        ("a.b.c.d".to_owned(), "three parts"),
        ("a.%.c".to_owned(), "not base64url"),
        (expiring_in(100)[..10].to_owned(), "three parts"),
        ("a.AAAA.c".to_owned(), "not JSON"),
        (jwt(&json!({})), "no exp"),
        (jwt(&json!([])), "no exp"),
        (jwt(&json!({"exp": "1"})), "no exp"),
        (jwt(&json!({"exp": -1})), "out of range"),
        (jwt(&json!({"exp": 1e300})), "out of range"),
        (jwt(&json!({"exp": 1_000})), "has expired"),
        (format!("a b\n.{}", &jwt(&json!({"exp": 4e9}))[4..]), "characters that no token has"),
    ];
    for (content, reason) in rows {
        let error = read(&content).unwrap_err().to_string();
        assert!(error.starts_with("UNAUTHENTICATED: ") && error.contains(reason), "{content:?}: {error}");
    }
}

#[test]
fn google_credentials_file_is_found_at_its_default_path() {
    type Row<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>);
    let rows: [Row<'_>; 5] = [
        (&[("GOOGLE_APPLICATION_CREDENTIALS", "/key.json"), ("HOME", "/h")], Some("/key.json")),
        (
            &[("GOOGLE_APPLICATION_CREDENTIALS", ""), ("CLOUDSDK_CONFIG", "/c")],
            Some("/c/application_default_credentials.json"),
        ),
        (&[("APPDATA", "/a"), ("HOME", "/h")], Some("/a/gcloud/application_default_credentials.json")),
        (&[("HOME", "/h")], Some("/h/.config/gcloud/application_default_credentials.json")),
        (&[], None),
    ];
    for (variables, expected) in rows {
        let variables: HashMap<_, _> = variables.iter().copied().collect();
        let found = credentials_file(|name| variables.get(name).map(OsString::from));
        assert_eq!(found, expected.map(PathBuf::from));
    }
}

#[test]
fn service_account_signs_its_own_token() {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let account = json!({
        "type": "service_account", "client_email": "a@b", "private_key_id": "k1",
        "private_key": key.serialize_pem(),
    });
    let path = Path::new("/key.json");
    let sign =
        |account: &Value| sign_with(path, &account.to_string(), "https://a/", Duration::from_secs(1_000));
    let token = sign(&account).unwrap();
    let header = token.header();
    let token = header.to_str().unwrap().strip_prefix("Bearer ").unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let parts: Vec<Value> = message
        .split('.')
        .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
        .collect();
    assert_eq!(parts[0], json!({"alg": "RS256", "typ": "JWT", "kid": "k1"}));
    let claims = json!({"iss": "a@b", "sub": "a@b", "aud": "https://a/", "iat": 1_000, "exp": 4_600});
    assert_eq!(parts[1], claims);
    let algorithms = crypto().unwrap().signature_verification_algorithms;
    let (_, verifiers) =
        algorithms.mapping.iter().find(|(scheme, _)| *scheme == SignatureScheme::RSA_PKCS1_SHA256).unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    verifiers[0].verify_signature(key.der_bytes(), message.as_bytes(), &signature).unwrap();

    let with = |name: &str, value: Value| {
        let mut account = account.clone();
        account[name] = value;
        account
    };
    let elliptic = KeyPair::generate().unwrap().serialize_pem();
    let rows = [
        (with("type", json!("authorized_user")), "type \"authorized_user\" is not supported"),
        (with("client_email", json!(1)), "client_email is missing"),
        (with("private_key", json!("x")), "no key in PEM"),
        (with("private_key", json!(elliptic)), "no RSA key"),
    ];
    for (account, reason) in rows {
        let error = sign(&account).unwrap_err().to_string();
        assert!(error.contains("/key.json") && error.contains(reason), "{error}");
    }
    let error = sign_with(path, "{", "https://a/", Duration::ZERO).unwrap_err().to_string();
    assert!(error.contains("not JSON"), "{error}");
}
