//! One revocation list.

use std::collections::HashSet;
use std::fmt;

use tokio_rustls::rustls::pki_types::CertificateRevocationListDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use crate::certificate::MaterialError;
use crate::certificate::der::{
    BIT_STRING, BOOLEAN, INTEGER, Malformed, OCTET_STRING, OID, Reader, SEQUENCE, Value, time,
};
use crate::certificate::distinguished_name;

/// A list of certificates that their issuer has revoked.
pub struct RevocationList {
    /// What the issuer has signed.
    pub(super) signed: Vec<u8>,
    pub(super) algorithm: Vec<u8>,
    pub(super) signature: Vec<u8>,
    /// The issuer's name.
    pub(super) issuer: Vec<u8>,
    /// Seconds since 1970.
    pub(super) this_update: i64,
    /// Seconds since 1970.
    pub(super) next_update: i64,
    pub(super) scope: Scope,
    pub(super) revoked: HashSet<Box<[u8]>>,
}

/// The certificates that a list is for (RFC 5280 section 5.2.5).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Scope {
    /// Only certificates that name one of these distribution points; empty: all.
    pub(super) points: Vec<Vec<u8>>,
    pub(super) only_end_entities: bool,
    pub(super) only_authorities: bool,
}

impl RevocationList {
    /// From one list in DER, or any number of them in PEM.
    ///
    /// # Errors
    /// It is neither, there is none, or a list is a delta list, an indirect one, or has a critical extension that is not known.
    pub fn read(file: &[u8]) -> Result<Vec<Self>, MaterialError> {
        // A list in DER is a sequence; PEM is text.
        if file.first() == Some(&SEQUENCE) {
            return Ok(vec![Self::from_der(file)?]);
        }
        let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(file).collect();
        let lists = lists.map_err(|error| MaterialError::new(format!("not PEM: {error}")))?;
        match lists.is_empty() {
            true => Err(MaterialError::new("no revocation list in PEM or DER")),
            false => lists.iter().map(|list| Self::from_der(list)).collect(),
        }
    }

    fn from_der(der: &[u8]) -> Result<Self, MaterialError> {
        match read(der) {
            Ok(Ok(list)) => Ok(list),
            Ok(Err(reason)) => Err(MaterialError::new(reason)),
            Err(Malformed) => Err(MaterialError::new("the revocation list cannot be parsed")),
        }
    }

    /// The issuer's name, for messages.
    pub(super) fn issuer_text(&self) -> String {
        distinguished_name::text(&self.issuer).unwrap_or_default()
    }
}

type Read<T> = Result<Result<T, String>, Malformed>;

fn read(der: &[u8]) -> Read<RevocationList> {
    let mut outer = Reader::new(der);
    let mut list = Reader::new(outer.expect(SEQUENCE)?);
    let (signed, content) = list.raw(SEQUENCE)?;
    let algorithm = list.expect(SEQUENCE)?;
    let Some((0, signature)) = list.expect(BIT_STRING)?.split_first().map(|(unused, rest)| (*unused, rest))
    else {
        return Err(Malformed);
    };
    if !list.is_empty() || !outer.is_empty() {
        return Err(Malformed);
    }
    let mut tbs = Reader::new(content);
    tbs.optional(INTEGER)?;
    if tbs.expect(SEQUENCE)? != algorithm {
        return Err(Malformed);
    }
    let issuer = tbs.expect(SEQUENCE)?;
    let this_update = time(tbs.any()?)?;
    let next = tbs.peek().filter(|tag| *tag != SEQUENCE && *tag != EXTENSIONS);
    let Some(next_update) = next.map(|_| time(tbs.any()?)).transpose()? else {
        return Ok(Err("the revocation list does not say when the next one comes (nextUpdate)".to_owned()));
    };
    let mut revoked = HashSet::new();
    if let Some(entries) = tbs.optional(SEQUENCE)? {
        let mut entries = Reader::new(entries);
        while !entries.is_empty() {
            let mut entry = Reader::new(entries.expect(SEQUENCE)?);
            revoked.insert(entry.expect(INTEGER)?.into());
        }
    }
    let scope = match tbs.optional(EXTENSIONS)? {
        Some(extensions) => extensions_scope(Reader::new(Reader::new(extensions).expect(SEQUENCE)?))?,
        None => Ok(Scope::default()),
    };
    Ok(scope.map(|scope| RevocationList {
        signed: signed.to_vec(),
        algorithm: algorithm.to_vec(),
        signature: signature.to_vec(),
        issuer: issuer.to_vec(),
        this_update,
        next_update,
        scope,
        revoked,
    }))
}

// V2: delta and indirect lists count as none
fn extensions_scope(mut extensions: Reader<'_>) -> Read<Scope> {
    let mut scope = Scope::default();
    while !extensions.is_empty() {
        let mut extension = Reader::new(extensions.expect(SEQUENCE)?);
        let oid = extension.expect(OID)?;
        let is_critical = extension.optional(BOOLEAN)?.is_some_and(|critical| critical != [0]);
        let value = extension.expect(OCTET_STRING)?;
        match oid {
            DELTA_INDICATOR => return Ok(Err("delta revocation lists are not supported".to_owned())),
            DISTRIBUTION_POINT => match issuing_point(Reader::new(Reader::new(value).expect(SEQUENCE)?))? {
                Ok(read) => scope = read,
                Err(reason) => return Ok(Err(reason)),
            },
            _ if is_critical => {
                let oid = distinguished_name::oid(oid);
                return Ok(Err(format!(
                    "the revocation list has the critical extension {oid}, which is not known"
                )));
            }
            _ => {}
        }
    }
    Ok(Ok(scope))
}

fn issuing_point(mut point: Reader<'_>) -> Read<Scope> {
    let mut scope = Scope::default();
    let mut unsupported = None;
    while !point.is_empty() {
        let Value { tag, content } = point.any()?;
        let is_set = content != [0];
        match tag {
            POINT_NAME => scope.points = names(content)?,
            ONLY_END_ENTITIES => scope.only_end_entities = is_set,
            ONLY_AUTHORITIES => scope.only_authorities = is_set,
            INDIRECT if is_set => unsupported = Some("indirect revocation lists are not supported"),
            ONLY_ATTRIBUTES if !is_set => {}
            INDIRECT => {}
            _ => unsupported = Some("revocation lists for some reasons or for attributes are not supported"),
        }
    }
    match unsupported {
        Some(reason) => Ok(Err(reason.to_owned())),
        None => Ok(Ok(scope)),
    }
}

/// The names of a distribution point: those in `fullName`, whole. A name relative to the issuer matches nothing.
pub(in crate::certificate) fn names(point: &[u8]) -> Result<Vec<Vec<u8>>, Malformed> {
    let mut names = Vec::new();
    let Value { tag, content } = Reader::new(point).any()?;
    if tag != FULL_NAME {
        return Ok(vec![Vec::new()]);
    }
    let mut all = Reader::new(content);
    while !all.is_empty() {
        let name = all.any()?;
        names.push([&[name.tag], name.content].concat());
    }
    Ok(names)
}

impl fmt::Debug for RevocationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationList")
            .field("issuer", &self.issuer_text())
            .field("revoked", &self.revoked.len())
            .finish_non_exhaustive()
    }
}

const EXTENSIONS: u8 = 0xa0;
/// 2.5.29.27
const DELTA_INDICATOR: &[u8] = &[0x55, 0x1d, 0x1b];
/// 2.5.29.28
const DISTRIBUTION_POINT: &[u8] = &[0x55, 0x1d, 0x1c];

const POINT_NAME: u8 = 0xa0;
const ONLY_END_ENTITIES: u8 = 0x81;
const ONLY_AUTHORITIES: u8 = 0x82;
const INDIRECT: u8 = 0x84;
const ONLY_ATTRIBUTES: u8 = 0x85;
const FULL_NAME: u8 = 0xa0;
