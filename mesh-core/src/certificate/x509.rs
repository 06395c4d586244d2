//! What a certificate says of its holder (RFC 5280 section 4).
//!
//! webpki verifies chains; it does not hand out the names of all kinds, the times and the key usage, which are read here.

use std::net::IpAddr;

use crate::policy::identity::SubjectNames;

use super::der::{BIT_STRING, BOOLEAN, INTEGER, Malformed, OCTET_STRING, OID, Reader, SEQUENCE, time};
use super::distinguished_name;

/// What a certificate says of its holder.
#[derive(Debug, Clone, Default)]
pub(crate) struct CertificateFacts {
    pub(crate) names: SubjectNames,
    /// Seconds since 1970.
    pub(crate) not_before: i64,
    /// Seconds since 1970; the certificate is still valid in this second.
    pub(crate) not_after: i64,
    /// The key may sign certificates.
    pub(crate) may_sign_certificates: bool,
    /// The key may sign revocation lists: the certificate does not say otherwise.
    pub(crate) may_sign_lists: bool,
}

impl CertificateFacts {
    /// Reads a certificate in DER. `None`: it is not one.
    pub(crate) fn read(certificate: &[u8]) -> Option<Self> {
        read(certificate).ok()
    }
}

fn read(certificate: &[u8]) -> Result<CertificateFacts, Malformed> {
    let mut tbs = Reader::new(Reader::new(Reader::new(certificate).expect(SEQUENCE)?).expect(SEQUENCE)?);
    tbs.optional(VERSION)?;
    tbs.expect(INTEGER)?;
    tbs.expect(SEQUENCE)?;
    let _issuer = tbs.expect(SEQUENCE)?;
    let mut validity = Reader::new(tbs.expect(SEQUENCE)?);
    let not_before = time(validity.any()?)?;
    let not_after = time(validity.any()?)?;
    let subject = distinguished_name::text(tbs.expect(SEQUENCE)?)?;
    let _public_key = tbs.expect(SEQUENCE)?;
    tbs.optional(ISSUER_UNIQUE_ID)?;
    tbs.optional(SUBJECT_UNIQUE_ID)?;
    let names = SubjectNames { subject, ..SubjectNames::default() };
    let mut facts =
        CertificateFacts { names, not_before, not_after, may_sign_certificates: false, may_sign_lists: true };
    if let Some(extensions) = tbs.optional(EXTENSIONS)? {
        let mut extensions = Reader::new(Reader::new(extensions).expect(SEQUENCE)?);
        while !extensions.is_empty() {
            extension(Reader::new(extensions.expect(SEQUENCE)?), &mut facts)?;
        }
    }
    Ok(facts)
}

/// The value of the extension with this OID.
pub(super) fn extension_value<'a>(certificate: &'a [u8], oid: &[u8]) -> Result<Option<&'a [u8]>, Malformed> {
    let Some(all) = extensions(certificate)? else { return Ok(None) };
    let mut all = Reader::new(all);
    while !all.is_empty() {
        let mut extension = Reader::new(all.expect(SEQUENCE)?);
        let found = extension.expect(OID)? == oid;
        extension.optional(BOOLEAN)?;
        let value = extension.expect(OCTET_STRING)?;
        if found {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// A SubjectPublicKeyInfo in DER, from its content.
pub(crate) fn public_key_info(content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let digits = &length[length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1)..];
    let mut der = vec![SEQUENCE];
    if content.len() >= 0x80 {
        // At most 8 digits.
        der.push(0x80 | digits.len() as u8);
    }
    der.extend_from_slice(digits);
    der.extend_from_slice(content);
    der
}

/// The OID of the first critical extension that webpki does not know.
// C3
pub(crate) fn unknown_critical_extension(certificate: &[u8]) -> Option<String> {
    let mut extensions = Reader::new(extensions(certificate).ok()??);
    while let Ok(extension) = extensions.expect(SEQUENCE) {
        let mut extension = Reader::new(extension);
        let oid = extension.expect(OID).ok()?;
        let is_critical = extension.optional(BOOLEAN).ok()?.is_some_and(|critical| critical != [0]);
        if is_critical && !CHECKED_BY_WEBPKI.contains(&oid) {
            return Some(distinguished_name::oid(oid));
        }
    }
    None
}

fn extensions(certificate: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    let mut tbs = Reader::new(Reader::new(Reader::new(certificate).expect(SEQUENCE)?).expect(SEQUENCE)?);
    while !tbs.is_empty() {
        let value = tbs.any()?;
        if value.tag == EXTENSIONS {
            return Reader::new(value.content).expect(SEQUENCE).map(Some);
        }
    }
    Ok(None)
}

fn extension(mut extension: Reader<'_>, facts: &mut CertificateFacts) -> Result<(), Malformed> {
    let oid = extension.expect(OID)?;
    extension.optional(BOOLEAN)?;
    let value = extension.expect(OCTET_STRING)?;
    match oid {
        SUBJECT_ALT_NAME => {
            let mut names = Reader::new(Reader::new(value).expect(SEQUENCE)?);
            while !names.is_empty() {
                let name = names.any()?;
                add_name(&mut facts.names, name.tag, name.content);
            }
        }
        KEY_USAGE => {
            // Unused bits, then the bits from the first one on.
            let bits = Reader::new(value).expect(BIT_STRING)?;
            let is_set = |bit| bits.get(1).is_some_and(|bits| bits & bit != 0);
            facts.may_sign_certificates = is_set(KEY_CERT_SIGN);
            facts.may_sign_lists = is_set(CRL_SIGN);
        }
        _ => {}
    }
    Ok(())
}

fn add_name(names: &mut SubjectNames, tag: u8, content: &[u8]) {
    match tag {
        RFC822_NAME => names.emails.extend(text(content)),
        DNS_NAME => names.dns.extend(text(content)),
        URI => {
            names.uri_count += 1;
            names.uris.extend(text(content));
        }
        IP_ADDRESS => names.addresses.extend(address(content)),
        // Other kinds are not compared.
        _ => {}
    }
}

/// The whole name; `None`: it has a byte that is not printable ASCII, which none of these kinds allows.
// N2
fn text(content: &[u8]) -> Option<String> {
    let is_allowed = !content.is_empty() && content.iter().all(u8::is_ascii_graphic);
    is_allowed.then(|| content.iter().copied().map(char::from).collect())
}

fn address(content: &[u8]) -> Option<IpAddr> {
    let four = || <[u8; 4]>::try_from(content).ok().map(IpAddr::from);
    four().or_else(|| <[u8; 16]>::try_from(content).ok().map(IpAddr::from))
}

const VERSION: u8 = 0xa0;
const ISSUER_UNIQUE_ID: u8 = 0x81;
const SUBJECT_UNIQUE_ID: u8 = 0x82;
const EXTENSIONS: u8 = 0xa3;

const RFC822_NAME: u8 = 0x81;
const DNS_NAME: u8 = 0x82;
const URI: u8 = 0x86;
const IP_ADDRESS: u8 = 0x87;

/// Key usage, subject alternative name, basic constraints, name constraints, extended key usage.
const CHECKED_BY_WEBPKI: [&[u8]; 5] =
    [KEY_USAGE, SUBJECT_ALT_NAME, &[0x55, 0x1d, 0x13], &[0x55, 0x1d, 0x1e], &[0x55, 0x1d, 0x25]];

/// 2.5.29.17
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// 2.5.29.15
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
/// Bit 5 of the first byte.
const KEY_CERT_SIGN: u8 = 0x80 >> 5;
const CRL_SIGN: u8 = 0x80 >> 6;
