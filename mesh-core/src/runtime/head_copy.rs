//! Copies of request heads.

use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Uri, Version};
use smallvec::SmallVec;

/// A copy of a request's head, except its extensions, for another attempt. It costs no allocation up to six fields; a clone
/// of the head would cost two or more.
#[derive(Debug)]
pub(crate) struct HeadCopy {
    method: Method,
    uri: Uri,
    version: Version,
    fields: SmallVec<[(HeaderName, HeaderValue); 6]>,
}

impl HeadCopy {
    pub(crate) fn of(head: &Parts) -> Self {
        let fields = head.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Self { method: head.method.clone(), uri: head.uri.clone(), version: head.version, fields }
    }

    pub(crate) fn of_request<T>(request: &Request<T>) -> Self {
        let fields = request.headers().iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let (method, uri) = (request.method().clone(), request.uri().clone());
        Self { method, uri, version: request.version(), fields }
    }

    pub(crate) fn into_parts(self) -> Parts {
        let (mut head, ()) = Request::new(()).into_parts();
        (head.method, head.uri, head.version) = (self.method, self.uri, self.version);
        for (name, value) in self.fields {
            head.headers.append(name, value);
        }
        head
    }

    /// A head like the one that was copied.
    pub(crate) fn to_parts(&self) -> Parts {
        let Self { method, uri, version, fields } = self;
        Self { method: method.clone(), uri: uri.clone(), version: *version, fields: fields.clone() }
            .into_parts()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_has_everything_but_the_extensions() {
        let mut request = Request::post("http://host/path?query").extension(7_u8).version(Version::HTTP_2);
        for (name, value) in [("x-a", "1"), ("x-b", "2"), ("x-a", "3"), ("te", "trailers")] {
            request = request.header(name, value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let copied = HeadCopy::of(&head);
        for copy in [copied.to_parts(), copied.into_parts()] {
            assert_eq!((&copy.method, &copy.uri, &copy.headers), (&head.method, &head.uri, &head.headers));
            assert_eq!(copy.version, Version::HTTP_2);
            assert!(copy.extensions.is_empty());
        }
    }
}
