//! Credentials of a connection and of its calls.

use std::path::PathBuf;

use serde_json::Value;

use super::document::{Credentials, Files, JwtTokenFile};
use crate::bootstrap::json::{Invalid, read};
use crate::bootstrap::{CallCredentials, ChannelCredentials, FeatureGuards, IdentityFiles, TlsCredentials};

/// The credentials of the object at `at`. The first supported type counts; the configuration of the others is not read.
// BS-09, BS-10
pub(super) fn channel_credentials(list: &[Credentials], at: &str) -> Result<ChannelCredentials, Invalid> {
    let at = format!("{at}.channel_creds");
    for (index, entry) in list.iter().enumerate() {
        match (entry.r#type.as_str(), &entry.config) {
            ("insecure", _) => return Ok(ChannelCredentials::Insecure),
            // BS-11
            ("google_default", _) => return Ok(ChannelCredentials::GoogleDefault),
            ("tls", None) => return Ok(ChannelCredentials::Tls(TlsCredentials::default())),
            ("tls", Some(config)) => {
                return tls(config, &format!("{at}[{index}].config")).map(ChannelCredentials::Tls);
            }
            _ => {}
        }
    }
    let found: Vec<&str> = list.iter().map(|entry| entry.r#type.as_str()).collect();
    let reason =
        format!("no supported type: expected \"insecure\", \"tls\" or \"google_default\", found {found:?}");
    Err(Invalid::new(at, reason))
}

// BS-12
fn tls(config: &Value, at: &str) -> Result<TlsCredentials, Invalid> {
    let files: Files = read(config, at)?;
    let default = TlsCredentials::default();
    Ok(TlsCredentials {
        identity: identity(&files, at)?,
        refresh_interval: files.refresh_interval.map_or(default.refresh_interval, |interval| interval.0),
        ca_certificate_file: files.ca_certificate_file.map(PathBuf::from),
    })
}

pub(super) fn identity(files: &Files, at: &str) -> Result<Option<IdentityFiles>, Invalid> {
    match (&files.certificate_file, &files.private_key_file) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => {
            Ok(Some(IdentityFiles { certificate: certificate.into(), private_key: key.into() }))
        }
        _ => {
            Err(Invalid::new(at, "certificate_file and private_key_file must be set together or not at all"))
        }
    }
}

/// The credentials of the calls of the object at `at`. All supported types are used, the others are ignored.
// BS-13
pub(super) fn call_credentials(
    list: Option<&Value>,
    at: &str,
    guards: FeatureGuards,
) -> Result<Vec<CallCredentials>, Invalid> {
    let Some(list) = list.filter(|_| guards.bootstrap_call_creds) else { return Ok(Vec::new()) };
    let at = format!("{at}.call_creds");
    let list: Vec<Credentials> = read(list, &at)?;
    let tokens = list.iter().enumerate().filter(|(_, entry)| entry.r#type == "jwt_token_file");
    tokens.map(|(index, entry)| jwt_token_file(entry, &format!("{at}[{index}]"))).collect()
}

// BS-14
fn jwt_token_file(entry: &Credentials, at: &str) -> Result<CallCredentials, Invalid> {
    let config = entry.config.as_ref().ok_or_else(|| Invalid::missing(at, "config"))?;
    let JwtTokenFile { jwt_token_file, .. } = read(config, &format!("{at}.config"))?;
    match jwt_token_file.as_str() {
        "" => Err(Invalid::new(format!("{at}.config.jwt_token_file"), "must not be empty")),
        path => Ok(CallCredentials::JwtTokenFile(path.into())),
    }
}
