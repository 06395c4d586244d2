//! What a route does with calls besides sending them to a cluster; most routes do nothing.

use std::sync::Arc;

use http::Request;
use http::uri::Authority;
use tokio::time::Instant;

use crate::config::{Forward, HostRewrite, MirrorHost, Route};
use crate::filter::CallPath;
use crate::policy::matcher::Fraction;
use crate::policy::rewrite::{InvalidRewrite, Rewriter};
use crate::runtime::Protocol;
use crate::runtime::connect::Connect;
use crate::runtime::mirror::{self, MirrorTarget, Mirrors, Taps};
use crate::sharded::Refs;

use super::TargetContext;

/// What a route does with calls besides sending them to a cluster.
#[derive(Debug)]
pub(crate) struct Features {
    rewriter: Option<Rewriter>,
    /// Each attempt has its endpoint's host name as its authority.
    // RT-59
    sends_endpoint_host: bool,
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

/// The features of a call's route, and what has been drawn and prepared of them for the call.
pub(crate) struct CallFeatures<C: Connect> {
    pub(crate) of_route: Arc<Features>,
    mirror_targets: Vec<MirrorTarget<C>>,
    /// Sent with the first attempt.
    mirrors: Option<Mirrors>,
    /// Each attempt has its endpoint's host name as its authority.
    sends_endpoint_host: bool,
}

impl<C: Connect> CallFeatures<C> {
    pub(super) fn new(of_route: Arc<Features>, mirror_targets: Vec<MirrorTarget<C>>) -> Self {
        let sends_endpoint_host = of_route.sends_endpoint_host;
        Self { of_route, mirror_targets, mirrors: None, sends_endpoint_host }
    }

    /// Prepares the mirrors of the call, which has this hash and deadline.
    pub(crate) fn prepare_mirrors<P: Protocol>(
        &mut self,
        context: &Arc<TargetContext>,
        hash: Option<u64>,
        deadline: Option<Instant>,
    ) {
        let targets = std::mem::take(&mut self.mirror_targets);
        if !targets.is_empty() {
            self.mirrors = mirror::prepare::<P, C>(targets, context, hash, deadline);
        }
    }

    /// The call's request is complete. Returns the copies that its body is to make for the mirrors.
    // RT-59
    pub(crate) fn see<B>(&mut self, request: &Request<B>, authority: &str) -> Option<Box<Taps>> {
        let own = request.uri().authority();
        self.sends_endpoint_host &= own.is_none_or(|own| own == authority);
        self.mirrors.as_mut().and_then(Mirrors::take_taps)
    }

    /// An attempt is about to be sent to the endpoint with this host name, or none; `authority` is the target's. The mirrors
    /// are sent with the first one.
    pub(crate) fn on_attempt<B>(&mut self, request: &mut Request<B>, hostname: &str, authority: &str) {
        if let Some(mirrors) = self.mirrors.take() {
            mirrors.start(request);
        }
        if self.sends_endpoint_host {
            // RT-59: a retry at an endpoint without a name does not have the name of the one before
            set_authority(request, if hostname.is_empty() { authority } else { hostname });
        }
    }
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
