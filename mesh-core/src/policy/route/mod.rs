//! Routing: which route of which virtual host takes a request, which cluster, and with which hash.
//!
//! A [`RouteTable`] is compiled once per configuration and gives the same answers as a scan over all virtual hosts
//! and routes in configured order, without that scan (gRFC A28). Nothing here allocates per request.

mod domain_index;
pub(crate) mod hash_policy;
mod path_index;
mod table;
#[cfg(test)]
mod tests;

use http::Uri;

use crate::policy::matcher::HeaderView;

#[cfg(test)]
pub(crate) use table::RouteIndex;
pub(crate) use table::{NoMatch, RouteTable, meets_query_and_kind};

/// The parts of a request that routing looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestHead<'a> {
    /// The authority, with a port if one was given.
    // RT-04
    pub authority: &'a str,
    /// The path, without query and fragment.
    pub path: &'a str,
    /// The query, without its `?`.
    pub query: Option<&'a str>,
    /// The headers that rules can see.
    pub headers: HeaderView<'a>,
}

impl<'a> RequestHead<'a> {
    /// The head of a request for `uri`, whose fragment and authority are ignored: `authority` is the data plane's. The
    /// query is none of the path (RT-16).
    pub(crate) fn new(authority: &'a str, uri: &'a Uri, headers: HeaderView<'a>) -> Self {
        Self { authority, path: uri.path(), query: uri.query(), headers }
    }
}
