//! Where a request has tokens: headers, parameters of the query, cookies.

use http::header::{AUTHORIZATION, COOKIE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, request};

/// A place where a request may have a token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenLocation {
    /// After this text in a header's value. Its case and spaces do not matter, as in `Bearer`; it may be empty.
    Header {
        /// The header.
        name: HeaderName,
        /// The text in front of the token.
        prefix: String,
    },
    /// The value of this parameter of the query.
    Parameter(String),
    /// The value of this cookie.
    Cookie(String),
}

/// A token of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundToken {
    pub(super) location: TokenLocation,
    pub(super) text: String,
}

impl FoundToken {
    pub(crate) fn location(&self) -> &TokenLocation {
        &self.location
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl TokenLocation {
    /// Where tokens are by default: `authorization: Bearer TOKEN`, and the parameter `access_token`.
    // HF-44
    pub fn defaults() -> [Self; 2] {
        let bearer = Self::Header { name: AUTHORIZATION, prefix: "Bearer ".to_owned() };
        [bearer, Self::Parameter("access_token".to_owned())]
    }

    /// The tokens at this place, and how many other values of the same header stand beside them.
    pub(super) fn find(&self, head: &request::Parts) -> (Vec<FoundToken>, usize) {
        let found = |text: &str| FoundToken { location: self.clone(), text: text.to_owned() };
        match self {
            Self::Header { name, prefix } => {
                let values = values(&head.headers, name);
                let tokens: Vec<_> =
                    values.iter().filter_map(|value| after_prefix(value, prefix)).map(found).collect();
                let others = values.len() - tokens.len();
                (tokens, others)
            }
            Self::Parameter(name) => {
                let query = head.uri.query().unwrap_or_default();
                let values = pairs(query).filter(|(found, _)| decoded(found) == *name);
                (values.map(|(_, value)| found(&decoded(value))).collect(), 0)
            }
            Self::Cookie(name) => {
                let values = values_of_cookies(&head.headers);
                let named = values.iter().filter(|(found, _)| found == name);
                (named.map(|(_, value)| found(value)).collect(), 0)
            }
        }
    }
}

/// A header's values, each part between commas as one: a token has none.
fn values(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let texts = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    let parts = texts.flat_map(|text| text.split(',').map(|part| part.trim().to_owned()).collect::<Vec<_>>());
    parts.filter(|part| !part.is_empty()).collect()
}

/// The token after the prefix. A value that is the prefix alone has an empty token, which is malformed.
fn after_prefix<'v>(value: &'v str, prefix: &str) -> Option<&'v str> {
    let word = prefix.trim_end();
    let (start, rest) = value.split_at_checked(word.len())?;
    let is_separated = word.len() == prefix.len() || rest.is_empty() || rest.starts_with([' ', '\t']);
    (start.eq_ignore_ascii_case(word) && is_separated).then(|| rest.trim())
}

fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn values_of_cookies(headers: &HeaderMap) -> Vec<(String, String)> {
    let texts = headers.get_all(COOKIE).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    let pairs = |text: &str| text.split(';').filter_map(cookie).collect::<Vec<_>>();
    texts.flat_map(|text| pairs(&text)).collect()
}

fn cookie(part: &str) -> Option<(String, String)> {
    let (name, value) = part.split_once('=')?;
    Some((name.trim().to_owned(), value.trim().trim_matches('"').to_owned()))
}

/// A text of a query without its percent signs, as the application will read it.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digit = |index: usize| char::from(*after.get(index)?).to_digit(16);
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high << 4 | low) as u8);
                rest = &after[2..];
            }
            (b'+', ..) => {
                bytes.push(b' ');
                rest = after;
            }
            (other, ..) => {
                bytes.push(*other);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Takes the tokens at a place out of a request.
pub(crate) fn remove(location: &TokenLocation, head: &mut request::Parts) {
    match location {
        TokenLocation::Header { name, .. } => {
            head.headers.remove(name);
        }
        TokenLocation::Parameter(name) => remove_parameter(name, &mut head.uri),
        TokenLocation::Cookie(name) => remove_cookie(name, &mut head.headers),
    }
}

fn remove_parameter(name: &str, uri: &mut Uri) {
    let Some(query) = uri.query() else { return };
    let kept: Vec<&str> =
        query.split('&').filter(|pair| pairs(pair).all(|(found, _)| decoded(found) != name)).collect();
    let text = match kept.is_empty() {
        true => uri.path().to_owned(),
        false => format!("{}?{}", uri.path(), kept.join("&")),
    };
    let mut parts = std::mem::take(uri).into_parts();
    // the text is a part of what was a target before
    parts.path_and_query = PathAndQuery::try_from(text).ok();
    *uri = Uri::from_parts(parts).unwrap_or_default();
}

fn remove_cookie(name: &str, headers: &mut HeaderMap) {
    let is_other = |part: &&str| cookie(part).is_none_or(|(found, _)| found != name);
    let texts: Vec<String> = headers
        .get_all(COOKIE)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect();
    headers.remove(COOKIE);
    for text in texts {
        let kept: Vec<&str> = text.split(';').filter(is_other).map(str::trim).collect();
        let kept = kept.join("; ");
        if let (false, Ok(value)) = (kept.is_empty(), HeaderValue::from_str(&kept)) {
            headers.append(COOKIE, value);
        }
    }
}
