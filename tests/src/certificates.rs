//! Files for mutual TLS on loopback.

use std::path::PathBuf;

use mesh_core::testing::reserved_address;
use rcgen::string::Ia5String;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use serde_json::{Value, json};
use tempfile::TempDir;

/// An authority, and a server at 127.0.0.1 and a client with certificates from it.
#[derive(Debug)]
pub struct Certificates {
    folder: TempDir,
}

impl Certificates {
    /// New ones, for a client with this SPIFFE id.
    ///
    /// # Panics
    /// When it is no URI.
    pub fn new(client: &str) -> Self {
        let certificates = Self { folder: TempDir::with_prefix("mesh-certificates-").expect("a folder") };
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, "authority");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        certificates.write("ca.crt", &parameters.self_signed(&key).expect("an authority").pem());
        let issuer = Issuer::new(parameters, key);
        let id = Ia5String::try_from(client).expect("a URI is ASCII");
        for (who, name) in
            [("server", SanType::IpAddress([127, 0, 0, 1].into())), ("client", SanType::URI(id))]
        {
            let key = KeyPair::generate().expect("a key");
            let mut parameters = CertificateParams::default();
            parameters.subject_alt_names.push(name);
            let certificate = parameters.signed_by(&key, &issuer).expect("a certificate");
            certificates.write(&format!("{who}.crt"), &certificate.pem());
            certificates.write(&format!("{who}.key"), &key.serialize_pem());
        }
        certificates
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).expect("a new temporary folder is writable");
    }

    /// `ca.crt`, `server.crt`, `server.key`, `client.crt` or `client.key`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What makes a control-server ask its xDS clients for certificates.
    pub fn flags(&self) -> Vec<String> {
        let of = |flag: &str, name: &str| [format!("--{flag}"), self.path(name).display().to_string()];
        let listener = ["--xds-tls".to_owned(), reserved_address().to_string()];
        let files =
            [of("tls-cert", "server.crt"), of("tls-key", "server.key"), of("tls-client-ca", "ca.crt")];
        listener.into_iter().chain(files.into_iter().flatten()).collect()
    }

    /// The certificate that a gRPC client shows, and the authority that it trusts: a bootstrap's `channel_creds` (A65).
    pub fn channel_creds(&self) -> Value {
        json!([{"type": "tls", "config": {
            "ca_certificate_file": self.path("ca.crt"),
            "certificate_file": self.path("client.crt"),
            "private_key_file": self.path("client.key"),
        }}])
    }

    /// The same without a certificate to show.
    pub fn anonymous_creds(&self) -> Value {
        json!([{"type": "tls", "config": {"ca_certificate_file": self.path("ca.crt")}}])
    }
}
