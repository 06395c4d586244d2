//! Certificates of our own making.

use std::path::PathBuf;

use rcgen::string::Ia5String;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd};
use tempfile::TempDir;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// Issues certificates.
pub(crate) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
pub(crate) type Pair = (String, String);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = parameters.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(parameters, key) }
    }

    pub(crate) fn pem(&self) -> String {
        self.pem.clone()
    }

    /// For a client with this SPIFFE id.
    pub(crate) fn issue(&self, id: &str) -> Pair {
        self.sign(CertificateParams::default(), SanType::URI(Ia5String::try_from(id).unwrap()))
    }

    pub(crate) fn issue_expired(&self, id: &str) -> Pair {
        let mut parameters = CertificateParams::default();
        parameters.not_before = date_time_ymd(2020, 1, 1);
        parameters.not_after = date_time_ymd(2021, 1, 1);
        self.sign(parameters, SanType::URI(Ia5String::try_from(id).unwrap()))
    }

    fn sign(&self, mut parameters: CertificateParams, name: SanType) -> Pair {
        parameters.subject_alt_names = vec![name];
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// A client that trusts this authority, and shows a certificate.
    pub(crate) fn client(&self, shown: Option<Pair>) -> ClientTlsConfig {
        let config =
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&self.pem)).domain_name(NAME);
        match shown {
            None => config,
            Some((certificate, key)) => config.identity(Identity::from_pem(certificate, key)),
        }
    }
}

/// The files of a server on loopback.
pub(crate) struct Files {
    folder: TempDir,
}

impl Files {
    /// With `cert` and `key` from an authority.
    pub(crate) fn new(authority: &Authority) -> Self {
        let files = Self { folder: TempDir::new().unwrap() };
        files.issue(authority);
        files
    }

    /// New `cert` and `key`.
    pub(crate) fn issue(&self, authority: &Authority) {
        let name = SanType::DnsName(Ia5String::try_from(NAME).unwrap());
        let (certificate, key) = authority.sign(CertificateParams::default(), name);
        self.write("cert", &certificate);
        self.write("key", &key);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }
}

const NAME: &str = "control-server";
