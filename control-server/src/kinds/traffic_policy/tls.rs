//! `tls`: the TLS that a client expects of its endpoints.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finding::Findings;
use crate::yaml::FieldPath;

/// How connections are secured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ClientTls {
    pub(crate) mode: TlsMode,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) client_certificate: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) private_key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) ca_certificates: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) credential_name: String,
    pub(crate) subject_alt_names: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) sni: String,
    pub(crate) insecure_skip_verify: Option<bool>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) ca_crl: String,
}

/// Istio's default is plaintext.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum TlsMode {
    #[default]
    Disable,
    Simple,
    Mutual,
    IstioMutual,
}

impl TlsMode {
    /// As it is written.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Disable => "DISABLE",
            Self::Simple => "SIMPLE",
            Self::Mutual => "MUTUAL",
            Self::IstioMutual => "ISTIO_MUTUAL",
        }
    }
}

impl ClientTls {
    /// The part of it that clients cannot do.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        if self.mode == TlsMode::Disable {
            return None;
        }
        let is_mesh = self.mode == TlsMode::IstioMutual;
        let has_files = [&self.client_certificate, &self.private_key].iter().any(|file| !file.is_empty());
        let has_authorities = !matches!(self.ca_certificates.as_str(), "" | SYSTEM);
        if self.insecure_skip_verify == Some(true) {
            Some("insecureSkipVerify: clients always check the certificates of endpoints")
        } else if !self.ca_crl.is_empty() {
            Some("caCrl: revocation lists belong to a certificate provider of the bootstrap")
        } else if !is_mesh && self.credential_name.is_empty() && (has_files || has_authorities) {
            Some(
                "files of certificates: expected credentialName, the name of a certificate provider of the bootstrap",
            )
        } else if self.mode == TlsMode::Mutual && self.credential_name.is_empty() {
            Some("MUTUAL without credentialName, the name of a certificate provider of the bootstrap")
        } else {
            None
        }
    }

    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        if self.mode == TlsMode::Disable {
            let nothing = Self { insecure_skip_verify: self.insecure_skip_verify, ..Self::default() };
            if *self != nothing {
                let message = "the mode is DISABLE: calls go out in plaintext, whatever else is written here";
                findings.warning(path.clone(), message);
            }
            return;
        }
        for (index, name) in self.subject_alt_names.iter().enumerate().filter(|(_, name)| name.is_empty()) {
            let message = format!("found `{name}`, expected a name in the certificates of the endpoints");
            findings.error(path.field("subjectAltNames").index(index), message);
        }
        // TLS-22
        if self.sni.len() > MAX_SNI {
            let message = format!("found {} characters, expected at most {MAX_SNI}", self.sni.len());
            findings.error(path.field("sni"), message);
        }
        if let Some(problem) = self.problem() {
            let message = format!("calls fail rather than go out without what is asked for: {problem}");
            findings.warning(path.clone(), message);
        }
        let is_mutual = self.mode == TlsMode::Mutual && self.credential_name.is_empty();
        if is_mutual && (self.client_certificate.is_empty() || self.private_key.is_empty()) {
            let message = "found MUTUAL, expected clientCertificate and privateKey, or credentialName";
            findings.error(path.field("mode"), message);
        }
    }
}

/// Istio's word for the authorities that the system trusts.
const SYSTEM: &str = "system";
/// TLS-22
const MAX_SNI: usize = 255;
