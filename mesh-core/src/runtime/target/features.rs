//! What a route does with calls besides sending them to a cluster; most routes do nothing.

use std::sync::Arc;

use http::Request;
use http::uri::Authority;

use crate::config::{Forward, HostRewrite, MirrorHost, Route};
use crate::filter::CallPath;
use crate::policy::matcher::Fraction;
use crate::policy::rewrite::{InvalidRewrite, Rewriter};
use crate::sharded::Refs;

/// What a route does with calls besides sending them to a cluster.
#[derive(Debug)]
pub(crate) struct Features {
    rewriter: Option<Rewriter>,
    /// Each attempt has its endpoint's host name as its authority.
    // RT-59
    pub(crate) sends_endpoint_host: bool,
    pub(super) mirrors: Box<[MirrorPlan]>,
}

/// Where a share of a route's calls is mirrored to.
#[derive(Debug)]
pub(super) struct MirrorPlan {
    /// The cluster's number.
    pub(super) cluster: usize,
    pub(super) path: Refs<CallPath>,
    pub(super) fraction: Fraction,
    pub(super) host: MirrorHost,
}

impl Features {
    /// The features of a route's calls to one of its clusters, which may have a rewrite of the host of its own. `None`:
    /// calls cost nothing more.
    pub(super) fn new(
        route: &Route,
        forward: &Forward,
        host: Option<&HostRewrite>,
        mirrors: Box<[MirrorPlan]>,
    ) -> Option<Arc<Self>> {
        let mut rewrite = forward.rewrite.clone();
        if let Some(host) = host {
            rewrite.host = Some(host.clone());
        }
        let features = Self {
            sends_endpoint_host: forward.auto_host_rewrite && rewrite.host.is_none(),
            rewriter: Rewriter::new(&rewrite, &route.matches.path),
            mirrors,
        };
        let is_used =
            features.rewriter.is_some() || features.sends_endpoint_host || !features.mirrors.is_empty();
        is_used.then(|| Arc::new(features))
    }

    /// Changes the path and the authority of a request of the target with this authority. A request whose authority the
    /// application has chosen keeps it.
    // RT-59
    pub(crate) fn rewrite<B>(
        &self,
        request: Request<B>,
        authority: &str,
    ) -> Result<Request<B>, InvalidRewrite> {
        let Some(rewriter) = &self.rewriter else { return Ok(request) };
        let (mut head, body) = request.into_parts();
        if head.uri.authority().is_none_or(|own| own == authority) {
            rewriter.apply(&mut head)?;
        } else {
            rewriter.apply_path(&mut head)?;
        }
        Ok(Request::from_parts(head, body))
    }
}

/// Sends this authority; one that cannot be sent leaves the request as it is.
pub(crate) fn set_authority<B>(request: &mut Request<B>, authority: &str) {
    let Ok(authority) = authority.parse::<Authority>() else { return };
    let mut uri = request.uri().clone().into_parts();
    uri.authority = Some(authority);
    if let Ok(uri) = uri.try_into() {
        *request.uri_mut() = uri;
    }
}
