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
    client_certificate: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    private_key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    ca_certificates: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    credential_name: String,
    subject_alt_names: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    sni: String,
    insecure_skip_verify: Option<bool>,
    #[serde(skip_serializing_if = "String::is_empty")]
    ca_crl: String,
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
    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        if self.mode == TlsMode::Disable {
            let nothing = Self { insecure_skip_verify: self.insecure_skip_verify, ..Self::default() };
            if *self != nothing {
                let message = "the mode is DISABLE: calls go out in plaintext, whatever else is written here";
                findings.warning(path.clone(), message);
            }
            return;
        }
        let message = "TLS to endpoints is not served yet: the clusters of this policy are withheld, so that calls fail \
                       rather than go out in plaintext";
        findings.warning(path.field("mode"), message);
        let is_mutual = self.mode == TlsMode::Mutual && self.credential_name.is_empty();
        if is_mutual && (self.client_certificate.is_empty() || self.private_key.is_empty()) {
            let message = "found MUTUAL, expected clientCertificate and privateKey, or credentialName";
            findings.error(path.field("mode"), message);
        }
    }
}
