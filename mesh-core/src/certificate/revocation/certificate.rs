//! What the check for revocation reads in a certificate.

use webpki::Cert;

use crate::certificate::der::{Malformed, Reader, SEQUENCE};
use crate::certificate::x509::extension_value;

use super::list::names;

/// A certificate that may have been revoked.
#[derive(Debug)]
pub(crate) struct Revocable<'a> {
    pub(super) serial: &'a [u8],
    /// The issuer's name.
    pub(super) issuer: &'a [u8],
    /// Where its issuer publishes lists for it.
    pub(super) points: Vec<Vec<u8>>,
    /// It is an authority's.
    pub(super) is_authority: bool,
}

impl<'a> Revocable<'a> {
    /// A certificate of a chain. A distribution point that cannot be parsed is none.
    pub(crate) fn of(certificate: &'a Cert<'a>, is_authority: bool) -> Self {
        let points = points(&certificate.der()).unwrap_or_default();
        Self { serial: certificate.serial(), issuer: certificate.issuer(), points, is_authority }
    }
}

/// The names of all distribution points for all reasons.
fn points(certificate: &[u8]) -> Result<Vec<Vec<u8>>, Malformed> {
    let Some(value) = extension_value(certificate, DISTRIBUTION_POINTS)? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    let mut points = Reader::new(Reader::new(value).expect(SEQUENCE)?);
    while !points.is_empty() {
        let mut point = Reader::new(points.expect(SEQUENCE)?);
        let name = point.optional(NAME)?;
        // A point for some reasons, or with the lists of another issuer, has lists that count as none.
        if point.is_empty() {
            found.extend(name.map(names).transpose()?.unwrap_or_default());
        }
    }
    Ok(found)
}

/// 2.5.29.31
const DISTRIBUTION_POINTS: &[u8] = &[0x55, 0x1d, 0x1f];
const NAME: u8 = 0xa0;
