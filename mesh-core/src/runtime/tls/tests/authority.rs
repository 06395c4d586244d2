//! Certificates of all kinds, made for one test.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

use crate::certificate::{CertificateSource, Identity, Material, Roots};

/// An authority with its own certificate.
pub(in crate::runtime) struct Authority {
    pub(in crate::runtime) certificate: Certificate,
    pub(in crate::runtime) issuer: Issuer<'static, KeyPair>,
    name: String,
    /// The certificates between its leaves and the root, its own first.
    above: Vec<Vec<u8>>,
}

impl Authority {
    /// A root of this name.
    pub(in crate::runtime) fn new(name: &str) -> Self {
        Self::with(name, |_| {})
    }

    /// A root whose certificate is changed before it is signed.
    pub(in crate::runtime) fn with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (params, key) = (authority(name, change), KeyPair::generate().unwrap());
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key), name: name.to_owned(), above: Vec::new() }
    }

    /// An authority below this one.
    pub(in crate::runtime) fn intermediate(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let (params, key) = (authority(name, change), KeyPair::generate().unwrap());
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let above = [vec![certificate.der().to_vec()], self.above.clone()].concat();
        Self { certificate, issuer: Issuer::new(params, key), name: name.to_owned(), above }
    }

    /// Another certificate for the name and the key of `below`.
    pub(in crate::runtime) fn reissue(
        &self,
        below: &Self,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Vec<u8> {
        let params = authority(&below.name, change);
        params.signed_by(below.issuer.key(), &self.issuer).unwrap().der().to_vec()
    }

    /// A certificate with these names, for both sides of a connection.
    pub(in crate::runtime) fn leaf(&self, names: &[&str]) -> Leaf {
        self.leaf_with(names, |_| {})
    }

    /// A certificate that is changed before it is signed.
    pub(in crate::runtime) fn leaf_with(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Leaf {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.iter().map(|name| san(name)).collect();
        params.distinguished_name.push(DnType::CommonName, "leaf");
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let chain = [vec![certificate.der().to_vec()], self.above.clone()].concat();
        Leaf { chain, key: key.serialize_der() }
    }

    /// The same authority, for revocation lists that its certificate does not allow it to sign.
    pub(in crate::runtime) fn signing_lists(&self) -> Self {
        let key = KeyPair::try_from(self.issuer.key().serialize_der()).unwrap();
        let issuer = Issuer::new(authority(&self.name, |_| {}), key);
        let (certificate, name, above) = (self.certificate.clone(), self.name.clone(), self.above.clone());
        Self { certificate, issuer, name, above }
    }

    /// The authority as a root.
    pub(in crate::runtime) fn roots(&self) -> Roots {
        Roots::from_der(vec![self.certificate.der().to_vec()]).unwrap()
    }

    /// A provider of these roots.
    pub(in crate::runtime) fn root_source(&self) -> CertificateSource {
        CertificateSource::fixed("roots", Material::default().with_roots(self.roots()))
    }
}

/// A certificate chain with its key.
#[derive(Clone)]
pub(in crate::runtime) struct Leaf {
    pub(in crate::runtime) chain: Vec<Vec<u8>>,
    pub(in crate::runtime) key: Vec<u8>,
}

impl Leaf {
    pub(in crate::runtime) fn identity(&self) -> Identity {
        Identity::from_der(self.chain.clone(), self.key.clone()).unwrap()
    }

    /// A provider of this identity.
    pub(in crate::runtime) fn source(&self) -> CertificateSource {
        CertificateSource::fixed("identity", Material::default().with_identity(self.identity()))
    }
}

/// Sets how long before now the certificate's validity begins, and how long after now it ends.
pub(in crate::runtime) fn valid(params: &mut CertificateParams, from: i64, to: i64) {
    let at = |seconds: i64| {
        let offset = Duration::from_secs(seconds.unsigned_abs());
        let now = SystemTime::now();
        if seconds < 0 { now - offset } else { now + offset }
    };
    (params.not_before, params.not_after) = (at(from).into(), at(to).into());
}

fn authority(name: &str, change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    change(&mut params);
    params
}

fn san(name: &str) -> SanType {
    if let Ok(address) = name.parse() {
        SanType::IpAddress(address)
    } else if name.contains("://") {
        SanType::URI(name.try_into().unwrap())
    } else if name.contains('@') {
        SanType::Rfc822Name(name.try_into().unwrap())
    } else {
        SanType::DnsName(name.try_into().unwrap())
    }
}
