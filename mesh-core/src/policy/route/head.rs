//! What of a request decides where it goes.

use http::Uri;

use crate::policy::matcher::HeaderView;

/// What of a request decides where it goes.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    /// The authority, with a port if one was given (RT-04).
    pub authority: &'a str,
    /// The path, without query and fragment.
    pub path: &'a str,
    /// The headers as rules see them.
    pub headers: HeaderView<'a>,
}

impl<'a> RequestHead<'a> {
    /// The head of a request for `uri`. Query and fragment do not count (RT-16), and neither does its authority:
    /// `authority` is the data plane's.
    pub fn new(authority: &'a str, uri: &'a Uri, headers: HeaderView<'a>) -> Self {
        Self { authority, path: uri.path(), headers }
    }
}
