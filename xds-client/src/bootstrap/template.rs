//! How listeners are named (gRFC A36, A47).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The name of a listener, with `%s` in the place of the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(String);

impl Template {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    /// BS-37, BS-38: every `%s` is replaced, with the text percent-encoded in `xdstp:` names only.
    pub(super) fn expand(&self, text: &str) -> String {
        match self.0.starts_with("xdstp:") {
            true => self.0.replace("%s", &utf8_percent_encode(text, PATH_CHARACTERS).to_string()),
            false => self.0.replace("%s", text),
        }
    }

    /// The prefix of every name of an authority (BS-41).
    pub(super) fn authority_prefix(authority: &str) -> String {
        format!("xdstp://{}/", utf8_percent_encode(authority, AUTHORITY_CHARACTERS))
    }
}

/// The authority of an `xdstp:` name; `None` for any other name.
pub(super) fn xdstp_authority(name: &str) -> Option<String> {
    let rest = name.strip_prefix("xdstp:")?;
    let authority = rest.strip_prefix("//").unwrap_or("").split('/').next().unwrap_or_default();
    Some(percent_decode_str(authority).decode_utf8_lossy().into_owned())
}

const UNRESERVED_AND_SUB_DELIMITERS: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// Characters that RFC 3986 section 3.3 allows in a path are not encoded, `/` included.
const PATH_CHARACTERS: &AsciiSet = &UNRESERVED_AND_SUB_DELIMITERS.remove(b'/');

/// Characters that are allowed in an authority are not encoded.
pub(super) const AUTHORITY_CHARACTERS: &AsciiSet = &UNRESERVED_AND_SUB_DELIMITERS.remove(b'[').remove(b']');
