//! Files for mutual TLS on loopback.

use std::fmt;
use std::path::PathBuf;

use mesh_core::testing::reserved_address;
use rcgen::string::Ia5String;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use serde_json::{Value, json};
use tempfile::TempDir;

/// An authority, and a server at 127.0.0.1 and a client with certificates from it.
pub struct Certificates {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("folder", &self.folder.path()).finish_non_exhaustive()
    }
}

impl Certificates {
    /// New ones, for a client with this SPIFFE id.
    ///
    /// # Panics
    /// When it is no URI.
    pub fn new(client: &str) -> Self {
        let folder = TempDir::with_prefix("mesh-certificates-").expect("a folder");
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, "authority");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let authority = parameters.self_signed(&key).expect("an authority").pem();
        let certificates = Self { folder, issuer: Issuer::new(parameters, key) };
        certificates.write("ca.crt", &authority);
        let id = Ia5String::try_from(client).expect("a URI is ASCII");
        for (who, name) in
            [("server", SanType::IpAddress([127, 0, 0, 1].into())), ("client", SanType::URI(id))]
        {
            let (certificate, key) = certificates.issue(name);
            certificates.write(&format!("{who}.crt"), &certificate);
            certificates.write(&format!("{who}.key"), &key);
        }
        certificates
    }

    /// A folder as a workload with this SPIFFE id has it: `tls.crt`, `tls.key` and `ca.crt`.
    ///
    /// # Panics
    /// When the id is no URI.
    pub fn workload(&self, name: &str, id: &str) -> PathBuf {
        let folder = self.path(name);
        std::fs::create_dir_all(&folder).expect("a new folder");
        let id = Ia5String::try_from(id).expect("a URI is ASCII");
        let (certificate, key) = self.issue(SanType::URI(id));
        self.write(&format!("{name}/tls.key"), &key);
        self.write(&format!("{name}/tls.crt"), &certificate);
        std::fs::copy(self.path("ca.crt"), folder.join("ca.crt")).expect("the authority is there");
        folder
    }

    fn issue(&self, name: SanType) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::default();
        parameters.subject_alt_names.push(name);
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
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
