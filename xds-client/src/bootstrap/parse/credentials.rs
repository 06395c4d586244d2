//! Credentials of a connection and of its calls.

use std::path::PathBuf;

use crate::bootstrap::json::{Cursor, Invalid};
use crate::bootstrap::{CallCredentials, ChannelCredentials, FeatureGuards, IdentityFiles, TlsCredentials};

/// BS-09, BS-10: the first supported type counts; the configuration of the others is not read.
pub(super) fn channel_credentials(list: &Cursor<'_>) -> Result<ChannelCredentials, Invalid> {
    let mut unsupported = Vec::new();
    let mut selected = None;
    for entry in list.elements()? {
        let kind = entry.required("type")?.string()?;
        match kind {
            _ if selected.is_some() => {}
            "insecure" | "tls" | "google_default" => selected = Some((kind, entry)),
            other => unsupported.push(other),
        }
    }
    match selected {
        Some(("tls", entry)) => {
            let config = entry.field("config")?;
            let credentials = config.map(|config| tls(&config)).transpose()?;
            Ok(ChannelCredentials::Tls(credentials.unwrap_or_default()))
        }
        // BS-11
        Some(("google_default", _)) => Ok(ChannelCredentials::GoogleDefault),
        Some(_) => Ok(ChannelCredentials::Insecure),
        None => Err(list.invalid(format!(
            "no supported type: expected \"insecure\", \"tls\" or \"google_default\", found {unsupported:?}"
        ))),
    }
}

// BS-12
fn tls(config: &Cursor<'_>) -> Result<TlsCredentials, Invalid> {
    let default = TlsCredentials::default();
    Ok(TlsCredentials {
        ca_certificate_file: config.text("ca_certificate_file")?.map(PathBuf::from),
        identity: identity(config)?,
        refresh_interval: config.interval("refresh_interval")?.unwrap_or(default.refresh_interval),
    })
}

pub(super) fn identity(config: &Cursor<'_>) -> Result<Option<IdentityFiles>, Invalid> {
    match (config.text("certificate_file")?, config.text("private_key_file")?) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => {
            Ok(Some(IdentityFiles { certificate: certificate.into(), private_key: key.into() }))
        }
        _ => Err(config.invalid("certificate_file and private_key_file must be set together or not at all")),
    }
}

/// BS-13: all supported types are applied, the others are ignored.
pub(super) fn call_credentials(
    server: &Cursor<'_>,
    guards: FeatureGuards,
) -> Result<Vec<CallCredentials>, Invalid> {
    let mut all = Vec::new();
    if !guards.bootstrap_call_creds {
        return Ok(all);
    }
    let Some(list) = server.field("call_creds")? else { return Ok(all) };
    for entry in list.elements()? {
        if entry.required("type")?.string()? == "jwt_token_file" {
            all.push(jwt_token_file(&entry.required("config")?)?);
        }
    }
    Ok(all)
}

// BS-14
fn jwt_token_file(config: &Cursor<'_>) -> Result<CallCredentials, Invalid> {
    let field = config.required("jwt_token_file")?;
    match field.string()? {
        "" => Err(field.invalid("must not be empty")),
        path => Ok(CallCredentials::JwtTokenFile(path.into())),
    }
}
