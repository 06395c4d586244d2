//! SPIFFE ids (SPIFFE-ID section 2).

use std::fmt;
use std::sync::Arc;

/// The identity of a workload, or of a whole trust domain if the path is empty: `spiffe://trust-domain/path`.
///
/// Scheme and trust domain are in lower case, whatever the text was; the path is as it was, so that `/Path` and `/path` are two
/// identities.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpiffeId {
    text: Arc<str>,
    /// Length of the trust domain.
    domain: usize,
}

impl SpiffeId {
    /// Parses an id.
    ///
    /// # Errors
    /// The text is not a SPIFFE id: which part, and why.
    // P1
    pub fn parse(text: &str) -> Result<Self, SpiffeIdError> {
        let error = |reason| SpiffeIdError { text: text.chars().take(SHOWN).collect(), reason };
        if text.len() > MAX_LENGTH {
            return Err(error("it is longer than 2048 bytes"));
        }
        let (scheme, rest) = text.split_at_checked(SCHEME.len()).ok_or_else(|| error(NO_SCHEME))?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return Err(error(NO_SCHEME));
        }
        let domain = rest.find('/').unwrap_or(rest.len());
        let (domain, path) = rest.split_at(domain);
        check_domain(domain).map_err(error)?;
        check_path(path).map_err(error)?;
        let (scheme, lower) = (SCHEME, domain.to_ascii_lowercase());
        Ok(Self { text: format!("{scheme}{lower}{path}").into(), domain: domain.len() })
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The trust domain, for example `cluster.local`.
    pub fn trust_domain(&self) -> &str {
        &self.text[SCHEME.len()..SCHEME.len() + self.domain]
    }

    /// The path with its first slash, for example `/ns/shop/sa/cart`; empty: the id names the trust domain itself.
    pub fn path(&self) -> &str {
        &self.text[SCHEME.len() + self.domain..]
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The name of a trust domain, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrustDomain(Arc<str>);

impl TrustDomain {
    /// Parses a name such as `cluster.local`.
    ///
    /// # Errors
    /// It is empty, longer than 255 bytes, or has a character that trust domains cannot have.
    pub fn parse(name: &str) -> Result<Self, SpiffeIdError> {
        match check_domain(name) {
            Ok(()) => Ok(Self(name.to_ascii_lowercase().into())),
            Err(reason) => Err(SpiffeIdError { text: name.chars().take(SHOWN).collect(), reason }),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for TrustDomain {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check_domain(domain: &str) -> Result<(), &'static str> {
    if domain.is_empty() {
        return Err("its trust domain is empty");
    }
    if domain.len() > MAX_DOMAIN {
        return Err("its trust domain is longer than 255 bytes");
    }
    match domain.bytes().find(|byte| !is_segment_byte(*byte)) {
        None => Ok(()),
        Some(b'@') => Err("its trust domain has user information"),
        Some(b':') => Err("its trust domain has a port"),
        Some(b'%') => Err("its trust domain has a percent-encoded character"),
        Some(b'?') => Err("it has a query"),
        Some(b'#') => Err("it has a fragment"),
        Some(_) => Err("its trust domain has a character other than letters, digits, '.', '-' and '_'"),
    }
}

fn check_path(path: &str) -> Result<(), &'static str> {
    for segment in path.split('/').skip(1) {
        match segment {
            "" => return Err("its path has an empty segment"),
            "." | ".." => return Err("its path has a dot segment"),
            _ => {}
        }
        match segment.bytes().find(|byte| !is_segment_byte(*byte)) {
            None => {}
            Some(b'%') => return Err("its path has a percent-encoded character"),
            Some(b'?') => return Err("it has a query"),
            Some(b'#') => return Err("it has a fragment"),
            Some(_) => return Err("its path has a character other than letters, digits, '.', '-' and '_'"),
        }
    }
    Ok(())
}

fn is_segment_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
}

/// Why a text is not a SPIFFE id or a trust domain.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a SPIFFE id: {reason}")]
pub struct SpiffeIdError {
    text: String,
    reason: &'static str,
}

crate::debug_with_causes!(SpiffeIdError);

const SCHEME: &str = "spiffe://";
const NO_SCHEME: &str = "it does not begin with spiffe://";
const MAX_LENGTH: usize = 2048;
const MAX_DOMAIN: usize = 255;
/// Characters of a refused text in the message.
const SHOWN: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    /// P1, first group: each is refused with its reason.
    #[test]
    fn malformed_ids_are_refused_with_the_reason() {
        let rows = [
            ("spiffe://td:/a", "port"),
            ("spiffe://td:80/a", "port"),
            ("spiffe://u@td/a", "user information"),
            ("spiffe:///a", "trust domain is empty"),
            ("spiffe://", "trust domain is empty"),
            ("spiffe://td//a", "empty segment"),
            ("spiffe://td/a/", "empty segment"),
            ("spiffe://td/", "empty segment"),
            ("spiffe://td/./a", "dot segment"),
            ("spiffe://td/../a", "dot segment"),
            ("spiffe://td/a/..", "dot segment"),
            ("spiffe://td/a%2Fb", "percent-encoded"),
            ("spiffe://t%64/a", "percent-encoded"),
            ("spiffe://td/a?x", "query"),
            ("spiffe://td?x", "query"),
            ("spiffe://td/a#x", "fragment"),
            ("spiffe://td#x", "fragment"),
            ("spiffe://[::1]/a", "character"),
            ("spiffe://td/a b", "character"),
            ("spiffe://td/\u{e4}", "character"),
            ("spiffe://t\u{212a}/a", "character"),
            ("spiffe://td/a\0b", "character"),
            ("\u{17f}piffe://td/a", "does not begin"),
            ("https://td/a", "does not begin"),
            ("spiffe:/td/a", "does not begin"),
            ("spiffe", "does not begin"),
            ("", "does not begin"),
        ];
        for (text, reason) in rows {
            let error = SpiffeId::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
        let long = format!("spiffe://td/{}", "a".repeat(2049 - 12));
        assert!(SpiffeId::parse(&long).unwrap_err().to_string().contains("2048"));
        let long = format!("spiffe://{}/a", "a".repeat(256));
        assert!(SpiffeId::parse(&long).unwrap_err().to_string().contains("255"));
    }

    /// P1, second group and the fold of case.
    #[test]
    fn valid_ids_are_accepted_and_fold_scheme_and_domain() {
        let long = format!("spiffe://td/{}", "a".repeat(2048 - 12));
        let rows = [
            ("spiffe://a_b/x", "spiffe://a_b/x", "a_b", "/x"),
            ("spiffe://10.0.0.1/x", "spiffe://10.0.0.1/x", "10.0.0.1", "/x"),
            (&long, &long, "td", &long[11..]),
            ("SPIFFE://TD/Path", "spiffe://td/Path", "td", "/Path"),
            ("spiffe://td/...", "spiffe://td/...", "td", "/..."),
            ("spiffe://td", "spiffe://td", "td", ""),
        ];
        for (text, whole, domain, path) in rows {
            let id = SpiffeId::parse(text).unwrap();
            assert_eq!((id.as_str(), id.trust_domain(), id.path()), (whole, domain, path));
        }
        assert_ne!(SpiffeId::parse("spiffe://td/Path"), SpiffeId::parse("spiffe://td/path"));
        assert_eq!(TrustDomain::parse("TD.example").unwrap().as_str(), "td.example");
        assert!(TrustDomain::parse("").is_err());
    }
}
