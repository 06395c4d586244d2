//! The headers of a request that configured rules can see.

use std::borrow::Cow;

use http::header::{CONTENT_TYPE, TE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The headers of a request that configured rules can see.
///
/// They depend on the protocol: the transport owns some headers, and adds others after the route is chosen.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum HeaderView<'a> {
    /// A gRPC client's metadata: no `-bin` headers, no headers of the transport, and `content-type`
    /// although it is added later.
    // RT-11, RT-12
    Grpc(&'a HeaderMap),
    /// A response, or a request that is not gRPC's: every header.
    Response(&'a HeaderMap),
}

impl<'a> HeaderView<'a> {
    /// A header's values joined by `,`; `None` if the header is absent or hidden.
    ///
    /// One value is borrowed. Bytes that are not UTF-8 are replaced, so that they match no literal.
    // RT-10
    pub fn value(self, name: &HeaderName) -> Option<Cow<'a, str>> {
        match self {
            Self::Response(headers) => joined_values(headers, name),
            Self::Grpc(_) if is_hidden_from_grpc(name) => None,
            Self::Grpc(headers) => joined_values(headers, name)
                .or_else(|| (name == CONTENT_TYPE).then_some(Cow::Borrowed("application/grpc"))),
        }
    }
}

/// RT-11, RT-12. Pseudo-headers need no check: no [`HeaderName`] starts with a colon.
fn is_hidden_from_grpc(name: &HeaderName) -> bool {
    let text = name.as_str();
    text.ends_with("-bin") || text.starts_with("grpc-") || name == TE || name == USER_AGENT
}

/// A header's values joined by `,`, with no regard to who may see them.
pub(crate) fn joined_values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, str>> {
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
