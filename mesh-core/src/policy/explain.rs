//! Which route takes a call, and why the routes before it do not.
//!
//! For tools that answer "where does this call go?". The choice is the one of the compiled table that calls use; the reasons come from
//! the same matchers.

use std::convert::Infallible;
use std::sync::Arc;

use rand::TryRng;

use crate::config::{Route, VirtualHost};
use crate::policy::matcher::{Fraction, HeaderView};
use crate::policy::route::{RequestHead, RouteTable, meets_query_and_kind};

/// The way of a call through virtual hosts and routes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The position of the virtual host that serves the authority; `None`: the call fails.
    pub host: Option<usize>,
    /// The routes before the one that takes the call, or all of them if none does, in order.
    pub passed_over: Vec<PassedOver>,
    /// The position of the route that takes the call; `None`: the call fails.
    pub route: Option<usize>,
}

/// A route that does not take a call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PassedOver {
    /// Its position in the virtual host.
    pub route: usize,
    /// The first condition that does not hold.
    pub mismatch: Mismatch,
}

/// A condition that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mismatch {
    /// The path is another one.
    Path,
    /// A header is another one.
    Header {
        /// The position of the matcher in the route.
        matcher: usize,
        /// The values that the matcher sees, joined by `,`; `None`: the call does not have the header, or rules cannot see it.
        found: Option<String>,
    },
    /// The query, or whether the call is one of gRPC: gRPC calls have no query.
    QueryOrKind,
    /// Everything holds, but the route takes only this share of such calls, at random.
    Share(Fraction),
}

/// Finds the route of a call to `path`, which has no query, at an authority. A route that takes a share of the calls is passed over
/// with its share: the explanation is that of the other calls. Compiles the virtual hosts, which takes time linear in their size.
pub fn explain(
    hosts: &[Arc<VirtualHost>],
    authority: &str,
    path: &str,
    headers: HeaderView<'_>,
) -> Explanation {
    let table = RouteTable::new(hosts);
    let head = RequestHead { authority, path, query: None, headers };
    let Some(host) = table.find_host(authority) else {
        return Explanation { host: None, passed_over: Vec::new(), route: None };
    };
    let route = table.select_route(host, &head, &mut Highest).map(|index| index.route);
    let before = hosts[host].routes.iter().enumerate().take(route.unwrap_or(usize::MAX));
    let passed_over = before.filter_map(|(position, one)| {
        let mismatch = mismatch(one, &head)?;
        Some(PassedOver { route: position, mismatch })
    });
    Explanation { host: Some(host), passed_over: passed_over.collect(), route }
}

/// `None`: the route takes the call.
fn mismatch(route: &Route, head: &RequestHead<'_>) -> Option<Mismatch> {
    let matches = &route.matches;
    if !matches.path.matches(head.path) {
        return Some(Mismatch::Path);
    }
    let header = matches.headers.iter().position(|header| !header.matches(head.headers));
    if let Some(matcher) = header {
        let found = head.headers.value(&matches.headers[matcher].name).map(|value| value.into_owned());
        return Some(Mismatch::Header { matcher, found });
    }
    if !meets_query_and_kind(matches, head.query, head.headers) {
        return Some(Mismatch::QueryOrKind);
    }
    matches.fraction.filter(|share| *share != Fraction::ALL).map(Mismatch::Share)
}

/// Draws the highest number each time, so that a route with a share takes a call only if its share is everything.
struct Highest;

impl TryRng for Highest {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::MAX)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::MAX)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(u8::MAX);
        Ok(())
    }
}
