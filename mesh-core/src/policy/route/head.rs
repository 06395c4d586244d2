//! The parts of a request that routing looks at.

use http::Uri;

use crate::policy::matcher::HeaderView;

/// The parts of a request that routing looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestHead<'a> {
    /// The authority, with a port if one was given.
    // RT-04
    pub authority: &'a str,
    /// The path, without query and fragment.
    pub path: &'a str,
    /// The headers that rules can see.
    pub headers: HeaderView<'a>,
}

impl<'a> RequestHead<'a> {
    /// The head of a request for `uri`, whose query, fragment (RT-16) and authority are ignored: `authority` is the data
    /// plane's.
    pub(crate) fn new(authority: &'a str, uri: &'a Uri, headers: HeaderView<'a>) -> Self {
        Self { authority, path: uri.path(), headers }
    }
}
