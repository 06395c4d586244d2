//! The client's name in its certificate.

use std::sync::Arc;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

/// The name in a certificate that was verified: its SPIFFE id, or else the first of another URI, a DNS name, the subject.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity(Arc<str>);

impl Identity {
    /// Reads a certificate; `None` if it cannot be read or has no name.
    pub fn of_certificate(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let name = best_name(&certificate)?;
        Some(Self(name[..name.floor_char_boundary(MAX_NAME)].into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn best_name(certificate: &X509Certificate<'_>) -> Option<String> {
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|names| &names.value.general_names);
    let mut uris = names.clone().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let mut hosts = names.filter_map(|name| match name {
        GeneralName::DNSName(host) => Some(*host),
        _ => None,
    });
    let subject = || Some(certificate.subject().to_string()).filter(|subject| !subject.is_empty());
    let spiffe = uris.clone().find(|uri| uri.starts_with("spiffe://"));
    spiffe.or_else(|| uris.next()).or_else(|| hosts.next()).map(str::to_owned).or_else(subject)
}

/// A SPIFFE id has at most 2048 bytes.
const MAX_NAME: usize = 2048;

#[cfg(test)]
mod tests {
    use rcgen::string::Ia5String;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

    use super::*;

    #[test]
    fn identity_prefers_uri_then_dns_then_subject() {
        let uri = |text: &str| SanType::URI(Ia5String::try_from(text).unwrap());
        let host = |text: &str| SanType::DnsName(Ia5String::try_from(text).unwrap());
        let spiffe = "spiffe://mesh/ns/shop/sa/orders";
        for (names, subject, expected) in [
            (vec![host("a.b"), uri("https://a"), uri(spiffe)], "orders", Some(spiffe)),
            (vec![host("a.b"), uri("https://a")], "orders", Some("https://a")),
            (vec![host("a.b")], "orders", Some("a.b")),
            (vec![], "orders", Some("CN=orders")),
            (vec![], "", None),
        ] {
            let mut parameters = CertificateParams::default();
            parameters.distinguished_name = DistinguishedName::new();
            if !subject.is_empty() {
                parameters.distinguished_name.push(DnType::CommonName, subject);
            }
            parameters.subject_alt_names = names;
            let certificate = parameters.self_signed(&KeyPair::generate().unwrap()).unwrap();
            let found = Identity::of_certificate(certificate.der());
            assert_eq!(found.as_ref().map(Identity::as_str), expected);
        }
        assert_eq!(Identity::of_certificate(b"\x30\x80"), None);
    }
}
