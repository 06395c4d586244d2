//! The routes and clusters of a target's configuration (RT-28).

use std::sync::Arc;
use std::time::Duration;

use rand::Rng;

use crate::config::{RetryPolicy, RoutingPriority};
use crate::filter::{CallPath, RouteFilters};
use crate::policy::route::{RequestHead, hash_policy};
use crate::runtime::connect::Connect;
use crate::runtime::error::Reason;
use crate::runtime::mirror::MirrorTarget;
use crate::runtime::{MeshError, MeshErrorKind};
use crate::sharded::{Ref, Refs};

use super::routes::{Choice, Plan, Routes};
use super::{CallFeatures, Cluster, Features, TargetContext};

/// The routes and clusters of a target's configuration. Immutable: a change is a new snapshot.
pub(crate) struct Snapshot<C: Connect> {
    routes: Arc<Routes>,
    /// By the routes' numbers.
    clusters: Box<[Arc<Refs<Cluster<C>>>]>,
}

/// The route and cluster of a call, and its timeout and filters: decided once per call (RT-23).
pub(crate) struct Routed<C: Connect> {
    /// Route and cluster, for logs and [`CallInfo`](crate::runtime::CallInfo).
    pub(crate) path: Ref<CallPath>,
    /// Keeps the cluster until the call is committed (RT-24).
    pub(crate) cluster: Ref<Cluster<C>>,
    /// The call's timeout, from its start.
    pub(crate) timeout: Option<Duration>,
    pub(crate) retry: Option<Arc<RetryPolicy>>,
    pub(crate) hash: Option<u64>,
    /// Which limits of the cluster hold for the call.
    pub(crate) priority: RoutingPriority,
    /// The filters of the call.
    pub(crate) filters: Option<Arc<RouteFilters>>,
    /// `None`: the call is only sent to the cluster.
    pub(crate) features: Option<Box<CallFeatures<C>>>,
}

impl<C: Connect> Routed<C> {
    /// A call to this cluster, and nothing more.
    pub(crate) fn to(path: Ref<CallPath>, cluster: Ref<Cluster<C>>) -> Self {
        let priority = RoutingPriority::Default;
        Self {
            path,
            cluster,
            timeout: None,
            retry: None,
            hash: None,
            priority,
            filters: None,
            features: None,
        }
    }

    /// Whether the call is only sent to the cluster: no filter, rewrite or mirror has to do with it.
    #[inline(always)]
    pub(crate) fn is_plain(&self) -> bool {
        self.filters.is_none() && self.features.is_none()
    }
}

/// The inputs of routing besides the request's head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RouteInput {
    /// The application's timeout.
    pub(crate) timeout: Option<Duration>,
    pub(crate) channel_id: u64,
}

impl<C: Connect> Snapshot<C> {
    pub(super) fn new(routes: Arc<Routes>, clusters: Box<[Arc<Refs<Cluster<C>>>]>) -> Self {
        Self { routes, clusters }
    }

    /// Every cluster that a route may choose.
    pub(super) fn clusters(&self) -> impl Iterator<Item = &Arc<Cluster<C>>> {
        self.clusters.iter().map(|cluster| cluster.value())
    }

    /// RT-65: one draw for each mirror.
    fn mirror_targets(&self, features: &Features, rng: &mut dyn Rng) -> Vec<MirrorTarget<C>> {
        let mut targets = Vec::new();
        for mirror in &features.mirrors {
            if mirror.fraction.draw(rng)
                && let Some(cluster) = self.clusters.get(mirror.cluster)
            {
                let (path, host) = (mirror.path.own(), mirror.host.clone());
                targets.push(MirrorTarget { path, cluster: cluster.own(), host });
            }
        }
        targets
    }

    pub(crate) fn route(
        &self,
        head: &RequestHead<'_>,
        input: RouteInput,
        context: &TargetContext,
        rng: &mut dyn Rng,
    ) -> Result<Routed<C>, MeshError> {
        let plan = self.routes.select(head, rng).map_err(|no_match| {
            // RT-05, RT-20
            let request = [head.authority, head.path].concat().into();
            context.error(MeshErrorKind::NoRoute, Reason::NoRoute(no_match, request))
        })?;
        let forward = match plan {
            Plan::Forward(forward) => forward,
            // RT-21
            Plan::Unsupported(what) => {
                let reason = Reason::Unsupported(what, head.path.into());
                return Err(context.error(MeshErrorKind::UnsupportedRoute, reason));
            }
        };
        let chosen = forward.choose(head, rng);
        let chosen = chosen.and_then(|choice| Some((self.clusters.get(choice.cluster)?, choice)));
        let (cluster, Choice { path, filters, features, .. }) =
            chosen.ok_or_else(|| context.error(MeshErrorKind::Cluster, "the route has no cluster"))?;
        let features = features.as_ref().map(|features| {
            let mirror_targets = self.mirror_targets(features, rng);
            Box::new(CallFeatures::new(features.clone(), mirror_targets))
        });
        Ok(Routed {
            path: path.own(),
            cluster: cluster.own(),
            timeout: forward.limits.effective(input.timeout),
            retry: forward.retry.clone(),
            hash: hash_policy::hash(&forward.hash_policies, head, input.channel_id),
            priority: forward.priority,
            filters: filters.clone(),
            features,
        })
    }
}
