//! Certificates, made for one test.

use mesh_core::certificate::{CertificateSource, Identity, Material, Roots};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

/// A root.
pub(super) struct Authority {
    der: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
pub(super) struct Leaf {
    chain: Vec<Vec<u8>>,
    key: Vec<u8>,
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { der, issuer: Issuer::new(params, key) }
    }

    /// A certificate for both sides with this URI.
    pub(super) fn leaf(&self, uri: &str) -> Leaf {
        self.leaf_with(uri, |_| {})
    }

    pub(super) fn leaf_with(&self, uri: &str, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf { chain: vec![certificate.der().to_vec()], key: key.serialize_der() }
    }

    pub(super) fn roots(&self) -> Roots {
        Roots::from_der(vec![self.der.clone()]).unwrap()
    }

    pub(super) fn both_roots(&self, other: &Self) -> Roots {
        Roots::from_der(vec![self.der.clone(), other.der.clone()]).unwrap()
    }

    pub(super) fn source(&self) -> CertificateSource {
        CertificateSource::fixed("roots", Material::default().with_roots(self.roots()))
    }
}

impl Leaf {
    pub(super) fn identity(&self) -> Identity {
        Identity::from_der(self.chain.clone(), self.key.clone()).unwrap()
    }

    pub(super) fn source(&self) -> CertificateSource {
        CertificateSource::fixed("identity", Material::default().with_identity(self.identity()))
    }
}
