//! Certificates, made for one test.

use std::time::{Duration, SystemTime};

use mesh_core::certificate::{CertificateSource, Identity, Material, RevocationList, Roots};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
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

    /// The certificate, in DER.
    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }

    /// A list that revokes these serial numbers, and is outdated at `end`.
    pub(super) fn revocation_list(&self, serials: &[u64], end: SystemTime) -> RevocationList {
        let start = SystemTime::now() - Duration::from_secs(3600);
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: start.into(),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: start.into(),
            next_update: end.into(),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).unwrap();
        RevocationList::read(list.der()).unwrap().remove(0)
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
    /// Signed by its own key.
    pub(super) fn self_signed(uri: &str) -> Self {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { chain: vec![certificate.der().to_vec()], key: key.serialize_der() }
    }

    pub(super) fn identity(&self) -> Identity {
        Identity::from_der(self.chain.clone(), self.key.clone()).unwrap()
    }

    pub(super) fn source(&self) -> CertificateSource {
        CertificateSource::fixed("identity", Material::default().with_identity(self.identity()))
    }
}
