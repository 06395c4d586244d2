//! Certificate providers of a bootstrap: files that another program keeps fresh, by `file_watcher` (gRFC A29).

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value, json};

use crate::model::IDENTITY;

/// Certificates that the program has or trusts; a server takes mutual TLS, and a client calls with it, by these.
#[derive(Debug, Default, Args)]
pub(super) struct Providers {
    /// Folder with the program's own certificate of the mesh: tls.crt, tls.key and ca.crt, PEM, read again every minute
    #[arg(long, value_name = "DIR")]
    certificates: Option<PathBuf>,
    /// Another certificate with its authorities, NAME=DIR, for the credentialName of a DestinationRule; may be repeated
    #[arg(long = "credential", value_name = "CREDENTIAL", value_parser = parse_named)]
    credentials: Vec<(String, PathBuf)>,
    /// Authorities alone, NAME=FILE, for the credentialName of a DestinationRule of mode SIMPLE; may be repeated
    #[arg(long = "authority", value_name = "AUTHORITY", value_parser = parse_named)]
    authorities: Vec<(String, PathBuf)>,
}

impl Providers {
    pub(super) fn to_json(&self) -> Map<String, Value> {
        let own = self.certificates.iter().map(|folder| (IDENTITY.to_owned(), identity(folder)));
        let others = self.credentials.iter().map(|(name, folder)| (name.clone(), identity(folder)));
        let authorities = self.authorities.iter().map(|(name, file)| {
            (name.clone(), json!({ "ca_certificate_file": file, "refresh_interval": REFRESH_INTERVAL }))
        });
        let provider = |config: Value| json!({ "plugin_name": "file_watcher", "config": config });
        own.chain(others).chain(authorities).map(|(name, config)| (name, provider(config))).collect()
    }

    #[cfg(test)]
    pub(super) fn parse(arguments: &[&str]) -> Self {
        use clap::{Command, FromArgMatches as _};
        let command = Self::augment_args(Command::new("test").no_binary_name(true));
        Self::from_arg_matches(&command.try_get_matches_from(arguments).unwrap()).unwrap()
    }
}

/// By the names of the files in a secret of Kubernetes.
fn identity(folder: &Path) -> Value {
    json!({
        "certificate_file": folder.join("tls.crt"),
        "private_key_file": folder.join("tls.key"),
        "ca_certificate_file": folder.join("ca.crt"),
        "refresh_interval": REFRESH_INTERVAL,
    })
}

fn parse_named(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((IDENTITY, _)) => Err(format!("`{IDENTITY}` is the program's own: use --certificates")),
        Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok((name.to_owned(), path.into())),
        _ => Err("expected NAME=PATH".to_owned()),
    }
}

const REFRESH_INTERVAL: &str = "60s";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_have_a_name_and_files() {
        let providers =
            Providers::parse(&["--certificates", "/a", "--credential", "b=/c", "--authority", "d=/e.pem"])
                .to_json();
        assert_eq!(providers.keys().collect::<Vec<_>>(), [IDENTITY, "b", "d"]);
        assert_eq!(providers["default"]["plugin_name"], "file_watcher");
        assert_eq!(
            providers["b"]["config"],
            json!({
                "certificate_file": "/c/tls.crt", "private_key_file": "/c/tls.key", "ca_certificate_file": "/c/ca.crt",
                "refresh_interval": "60s",
            })
        );
        assert_eq!(
            providers["d"]["config"],
            json!({ "ca_certificate_file": "/e.pem", "refresh_interval": "60s" })
        );
        assert!(["default=/a", "=/a", "a=", "a"].iter().all(|text| parse_named(text).is_err()));
    }
}
