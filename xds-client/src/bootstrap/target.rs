//! Parses a target.

use mesh_core::runtime::Target;
use percent_encoding::{percent_decode_str, utf8_percent_encode};

use super::TargetError;
use super::template::AUTHORITY_CHARACTERS;

/// Parses `xds:///name`, `xds:name`, `xds://authority/name` or `name`, without a look at the bootstrap's authorities.
///
/// # Errors
/// [`TargetError`] for another scheme, and for a name that is empty or not UTF-8 once decoded.
pub fn parse(text: &str) -> Result<Target, TargetError> {
    let invalid = |reason| TargetError::InvalidName { target: text.to_owned(), reason };
    let (xds_authority, name) = match scheme(text) {
        (None, name) => (None, name.to_owned()),
        (Some("xds"), rest) => {
            if rest.contains(['?', '#']) {
                return Err(invalid("an xds target has neither query nor fragment"));
            }
            let decode = |part: &str| match percent_decode_str(part).decode_utf8() {
                Ok(text) => Ok(text.into_owned()),
                Err(_) => Err(invalid("the name is not UTF-8 once decoded")),
            };
            match rest.strip_prefix("//") {
                // BS-42: neither form has an authority.
                None => (None, decode(rest)?),
                Some(rest) => {
                    let (authority, name) = rest.split_once('/').unwrap_or((rest, ""));
                    let authority = decode(authority)?;
                    ((!authority.is_empty()).then_some(authority), decode(name)?)
                }
            }
        }
        (Some(_), rest) => {
            let name = rest.rsplit('/').next().unwrap_or_default().to_owned();
            return Err(TargetError::UnsupportedScheme { target: text.to_owned(), name });
        }
    };
    let name = name.strip_prefix('/').unwrap_or(&name);
    if name.is_empty() {
        return Err(invalid("the name is empty; expected as in xds:///service"));
    }
    // BS-44
    let authority = utf8_percent_encode(name, AUTHORITY_CHARACTERS).to_string();
    let mut target = Target::new(name);
    target.xds_authority = xds_authority;
    target.authority = authority;
    Ok(target)
}

/// `host:port` has no scheme; `anything://` and gRPC's own `scheme:` forms have one.
fn scheme(text: &str) -> (Option<&str>, &str) {
    match text.split_once(':') {
        Some((scheme, rest)) if rest.starts_with("//") || KNOWN_SCHEMES.contains(&scheme) => {
            (Some(scheme), rest)
        }
        _ => (None, text),
    }
}

/// Schemes that need no `//`.
const KNOWN_SCHEMES: [&str; 7] = ["xds", "dns", "ipv4", "ipv6", "unix", "unix-abstract", "passthrough"];
