//! Google's application default credentials: tokens signed with a service account's own key.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio_rustls::rustls::SignatureScheme;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use super::cache::Token;
use crate::certificate::crypto;
use crate::transport::TransportError;

/// Signs a token for this audience, with the key of the process's credentials. Their file is read each time.
pub(super) fn sign(audience: &str, unix_now: Duration) -> Result<Token, TransportError> {
    let path = credentials_file(|name| std::env::var_os(name)).ok_or_else(|| missing("no file is named"))?;
    let text = std::fs::read_to_string(&path)
        .map_err(|error| missing(&format!("cannot read {}: {error}", path.display())))?;
    sign_with(&path, &text, audience, unix_now)
}

fn missing(reason: &str) -> TransportError {
    TransportError::credentials(format!(
        "UNAVAILABLE: google_default: {reason}; set GOOGLE_APPLICATION_CREDENTIALS to the key file of a service account"
    ))
}

/// The file that the environment names, or the default file of Google's tools.
pub(super) fn credentials_file(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let folder = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = folder("GOOGLE_APPLICATION_CREDENTIALS") {
        return Some(path);
    }
    let settings = folder("CLOUDSDK_CONFIG")
        .or_else(|| Some(folder("APPDATA")?.join("gcloud")))
        .or_else(|| Some(folder("HOME")?.join(".config/gcloud")))?;
    Some(settings.join("application_default_credentials.json"))
}

/// Signs a token with the key in this text of a credentials file.
pub(super) fn sign_with(
    path: &Path,
    text: &str,
    audience: &str,
    unix_now: Duration,
) -> Result<Token, TransportError> {
    let wrong = |reason: &str| {
        TransportError::credentials(format!("UNAUTHENTICATED: google_default: {}: {reason}", path.display()))
    };
    let account: Value = serde_json::from_str(text).map_err(|error| wrong(&format!("not JSON: {error}")))?;
    let field = |name: &str| {
        account
            .get(name)
            .and_then(Value::as_str)
            .ok_or_else(|| wrong(&format!("{name} is missing or no string")))
    };
    match field("type")? {
        "service_account" => {}
        other => return Err(wrong(&format!("type {other:?} is not supported, only \"service_account\" is"))),
    }
    let email = field("client_email")?;
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": field("private_key_id")?});
    let issued = unix_now.as_secs();
    let claims = json!({
        "iss": email, "sub": email, "aud": audience, "iat": issued, "exp": issued + LIFE.as_secs(),
    });
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let signature = rs256(field("private_key")?, &signed).map_err(|reason| wrong(&reason))?;
    Token::new(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)), LIFE)
}

fn rs256(key: &str, message: &str) -> Result<Vec<u8>, String> {
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|error| format!("private_key is no key in PEM: {error}"))?;
    let key =
        crypto()?.key_provider.load_private_key(key).map_err(|error| format!("private_key: {error}"))?;
    let signer =
        key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).ok_or("private_key is no RSA key")?;
    signer.sign(message.as_bytes()).map_err(|error| format!("private_key: {error}"))
}

/// The longest that Google accepts.
const LIFE: Duration = Duration::from_secs(3600);
