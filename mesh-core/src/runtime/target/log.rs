//! Logs a target's configuration.

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::{Cluster, Discovery, MeshConfig, RouteAction};
use crate::runtime::{SourceError, Target};

/// Logs at info which configuration is in use, and at debug its routes and endpoints. Changes within ten seconds after the
/// last line are logged together at the end of the ten seconds, so that many changes do not fill the log.
#[derive(Debug, Default)]
pub(super) struct ConfigLog {
    current: Option<Arc<MeshConfig>>,
    last: Option<Instant>,
    /// The number of changes that are not logged yet.
    unlogged: u64,
}

impl ConfigLog {
    /// Logs a new configuration, now or at the deadline.
    pub(super) fn on_config(&mut self, now: Instant, target: &Target, config: &Arc<MeshConfig>) {
        if self.current.as_ref().is_some_and(|current| Arc::ptr_eq(current, config)) {
            return;
        }
        tracing::debug!(%target, routes = %Routes(config), endpoints = %ClustersText(config), "configuration changed");
        self.current = Some(config.clone());
        self.unlogged += 1;
        if self.last.is_none_or(|last| last + QUIET <= now) {
            self.write(now, target);
        }
    }

    /// There is no configuration any more; the errors of calls have the reason.
    pub(super) fn on_failure(&mut self, target: &Target, error: &SourceError) {
        if self.current.take().is_some() {
            tracing::warn!(%target, %error, "the configuration in use is gone");
        }
        self.unlogged = 0;
    }

    /// When to call `write`.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.last.filter(|_| self.unlogged > 0).map(|last| last + QUIET)
    }

    /// Logs the configuration that is in use now.
    pub(super) fn write(&mut self, now: Instant, target: &Target) {
        let Some(config) = &self.current else { return };
        let (clusters, endpoints) = (config.clusters().len(), endpoints(config));
        tracing::info!(%target, clusters, endpoints, changes = self.unlogged, "configuration in use");
        self.unlogged = 0;
        self.last = Some(now);
    }
}

/// The number of endpoints that the control plane lists, without the addresses of DNS names.
fn endpoints(config: &MeshConfig) -> usize {
    let count = |cluster: &Cluster| match &cluster.discovery {
        Discovery::Endpoints(Ok(set)) => {
            let localities = set.priorities.iter().flat_map(|priority| &priority.localities);
            localities.map(|locality| locality.endpoints.len()).sum()
        }
        _ => 0,
    };
    config.clusters().values().flatten().map(count).sum()
}

/// `/prefix* to cart; /exact to cart, cart-v2`
struct Routes<'a>(&'a MeshConfig);

impl Display for Routes<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let routes = self.0.virtual_hosts().iter().flat_map(|host| &host.routes);
        list(f, routes, |f, route| {
            write!(f, "{}", route.matches.path)?;
            match &route.action {
                RouteAction::Forward(forward) => {
                    let names: Vec<_> = forward.clusters.names().map(|name| &**name).collect();
                    write!(f, " to {}", names.join(", "))
                }
                _ => f.write_str(" to nothing"),
            }
        })
    }
}

/// `cart: 10.0.0.1:80 10.0.0.2:80; other: no such cluster`
struct ClustersText<'a>(&'a MeshConfig);

impl Display for ClustersText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        list(f, self.0.clusters().iter(), |f, (name, cluster)| {
            write!(f, "{name}:")?;
            match cluster.as_ref().map(|cluster| &cluster.discovery) {
                Err(error) | Ok(Discovery::Endpoints(Err(error))) => write!(f, " {error}"),
                Ok(Discovery::Endpoints(Ok(set))) => {
                    let localities = set.priorities.iter().flat_map(|priority| &priority.localities);
                    let mut endpoints = localities.flat_map(|locality| locality.endpoints.iter());
                    for endpoint in endpoints.by_ref().take(SHOWN) {
                        write!(f, " {}", endpoint.addresses.first())?;
                    }
                    if endpoints.next().is_some() { f.write_str(" ..") } else { Ok(()) }
                }
                Ok(Discovery::LogicalDns { host, port }) => write!(f, " DNS {host}:{port}"),
                Ok(Discovery::Aggregate(children)) => write!(f, " {}", children.join(", ")),
            }
        })
    }
}

/// The first ones, with `;` between them, and `..` if there are more.
fn list<T>(
    f: &mut Formatter<'_>,
    items: impl Iterator<Item = T>,
    write: impl Fn(&mut Formatter<'_>, T) -> fmt::Result,
) -> fmt::Result {
    for (at, item) in items.enumerate() {
        if at > 0 {
            f.write_str("; ")?;
        }
        if at == SHOWN {
            return f.write_str("..");
        }
        write(f, item)?;
    }
    Ok(())
}

const QUIET: Duration = Duration::from_secs(10);

/// How many routes, clusters, and endpoints of a cluster a line names.
const SHOWN: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_and_endpoints_are_listed_up_to_a_bound() {
        let addresses = |count: u16| (0..count).map(|port| ([127, 0, 0, 1], port).into());
        let config = MeshConfig::to_endpoints("cart", addresses(2));
        assert_eq!(Routes(&config).to_string(), "* to cart");
        assert_eq!(ClustersText(&config).to_string(), "cart: 127.0.0.1:0 127.0.0.1:1");
        let config = MeshConfig::to_endpoints("cart", addresses(1000));
        assert_eq!(endpoints(&config), 1000);
        let text = ClustersText(&config).to_string();
        assert!(text.ends_with(" 127.0.0.1:19 .."), "{text}");
    }

    #[test]
    fn changes_in_a_burst_are_logged_together() {
        let (target, began) = (Target::new("cart"), Instant::now());
        let at = |milliseconds| began + Duration::from_millis(milliseconds);
        let config = || Arc::new(MeshConfig::to_endpoints("cart", []));
        let mut log = ConfigLog::default();
        let first = config();
        log.on_config(at(0), &target, &first);
        log.on_config(at(1), &target, &first);
        assert_eq!(log.next_deadline(), None, "the first is told at once");
        (2..50).for_each(|now| log.on_config(at(now), &target, &config()));
        assert_eq!((log.next_deadline(), log.unlogged), (Some(at(10_000)), 48));
        log.write(at(10_000), &target);
        assert_eq!(log.next_deadline(), None);
        log.on_config(at(20_001), &target, &config());
        assert_eq!(log.next_deadline(), None, "told at once after a quiet time");
        log.on_config(at(20_002), &target, &config());
        log.on_failure(&target, &SourceError::new("deleted"));
        assert_eq!(log.next_deadline(), None, "there is nothing to tell of");
    }
}
