//! A request's headers as configured rules see them.

use std::borrow::Cow;

use http::header::{CONTENT_TYPE, TE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};

/// A request's headers as configured rules see them.
///
/// What a rule can see depends on the protocol: some headers belong to the transport, some are added only later.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum HeaderView<'a> {
    /// A gRPC client's metadata (RT-11, RT-12): no `-bin` headers, nothing of the transport, and a `content-type`
    /// even before it is added.
    Grpc(&'a HeaderMap),
}

impl<'a> HeaderView<'a> {
    /// A header's values joined by `,` (RT-10); `None` when it is absent or cannot be seen.
    ///
    /// One value is borrowed. Bytes that are not UTF-8 are replaced, so that they match no literal.
    pub fn value(self, name: &HeaderName) -> Option<Cow<'a, str>> {
        match self {
            Self::Grpc(_) if is_hidden_from_grpc(name) => None,
            Self::Grpc(headers) => joined(headers, name)
                .or_else(|| (name == CONTENT_TYPE).then_some(Cow::Borrowed("application/grpc"))),
        }
    }
}

/// RT-11, RT-12. Pseudo-headers cannot be asked for: no [`HeaderName`] starts with a colon.
fn is_hidden_from_grpc(name: &HeaderName) -> bool {
    let text = name.as_str();
    text.ends_with("-bin") || text.starts_with("grpc-") || name == TE || name == USER_AGENT
}

fn joined<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, str>> {
    let text = |value: &'a HeaderValue| String::from_utf8_lossy(value.as_bytes());
    let mut values = headers.get_all(name).iter();
    let first = text(values.next()?);
    let Some(second) = values.next() else { return Some(first) };
    let mut all = first.into_owned();
    for value in std::iter::once(second).chain(values) {
        all.push(','); // RT-10: without a space
        all.push_str(&text(value));
    }
    Some(Cow::Owned(all))
}
