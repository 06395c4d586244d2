//! `tls`: the TLS that a client expects of its endpoints.

use serde::Deserialize;

use crate::finding::Findings;
use crate::yaml::FieldPath;

/// How connections are secured.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClientTls {
    pub(crate) mode: TlsMode,
    #[serde(default)]
    client_certificate: String,
    #[serde(default)]
    private_key: String,
    #[serde(default)]
    ca_certificates: String,
    #[serde(default)]
    credential_name: String,
    #[serde(default)]
    subject_alt_names: Vec<String>,
    #[serde(default)]
    sni: String,
    insecure_skip_verify: Option<bool>,
    #[serde(default)]
    ca_crl: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum TlsMode {
    Disable,
    Simple,
    Mutual,
    IstioMutual,
}

impl ClientTls {
    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        if self.mode == TlsMode::Disable {
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
