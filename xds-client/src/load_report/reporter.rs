//! [`Reporter`]: runs a driver for each server that a cluster in use reports to.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Weak};

use mesh_core::config::Name;
use mesh_core::runtime::LoadStore;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::watch;
use tokio::task::{self, JoinSet};
use xds_proto::envoy::config::core::v3 as core;

use super::LoadReportState;
use super::driver::Driver;
use crate::bootstrap::{Bootstrap, ServerConfig};
use crate::client::Options;
use crate::protocol::BackoffSettings;
use crate::transport::AdsTransport;

/// Sends the reports of a store to the servers that want them. A stream exists only while it is needed.
///
/// It runs on a task of its caller, which ends with the store, after the last reports. Dropping that task ends all streams
/// without a last report.
pub struct Reporter<T> {
    /// By URI, the name that a cluster has for its server.
    known: HashMap<Name, ServerConfig>,
    node: Arc<core::Node>,
    /// Weak, so that dropping the store ends the reporter.
    store: Weak<LoadStore>,
    servers: watch::Receiver<BTreeMap<Name, usize>>,
    transport: Arc<T>,
    backoff: BackoffSettings,
    rng: StdRng,
}

impl<T: AdsTransport> Reporter<T> {
    /// A reporter for the servers of this bootstrap, authorities' servers included.
    // TR-73
    pub fn new(bootstrap: &Bootstrap, store: &Arc<LoadStore>, transport: Arc<T>, options: &Options) -> Self {
        let of_authorities = bootstrap.authorities().values().flat_map(|authority| authority.servers());
        let mut known = HashMap::new();
        for server in bootstrap.servers().iter().chain(of_authorities) {
            // Of servers that differ only in credentials or features the first is used.
            known.entry(server.uri().into()).or_insert_with(|| server.clone());
        }
        Self {
            known,
            node: Arc::new(bootstrap.node().to_load_report_proto()),
            store: Arc::downgrade(store),
            servers: store.servers(),
            transport,
            backoff: options.backoff,
            rng: options.rng_seed.map_or_else(|| StdRng::from_rng(&mut rand::rng()), StdRng::seed_from_u64),
        }
    }

    /// Reports until the store is gone.
    pub async fn run(mut self) {
        let mut drivers = Drivers::default();
        loop {
            self.start_missing(&mut drivers);
            tokio::select! {
                changed = self.servers.changed() => if changed.is_err() {
                    return;
                },
                () = drivers.ended() => {}
            }
        }
    }

    fn start_missing(&mut self, drivers: &mut Drivers) {
        let Some(store) = self.store.upgrade() else { return };
        let wanted: Vec<Name> = self.servers.borrow_and_update().keys().cloned().collect();
        for uri in wanted {
            if drivers.servers.values().any(|server| *server == uri) {
                continue;
            }
            let Some(server) = self.known.get(&uri) else {
                // TR-73
                tracing::warn!(
                    server = &*uri,
                    "no load is reported to a server that the bootstrap does not have"
                );
                continue;
            };
            let driver = Driver {
                server: server.clone(),
                transport: self.transport.clone(),
                node: self.node.clone(),
                store: store.clone(),
                servers: self.servers.clone(),
                state: drivers.left(&uri).unwrap_or_else(|| LoadReportState::new(self.backoff)),
                rng: StdRng::from_rng(&mut self.rng),
                is_failure_logged: false,
            };
            let task = drivers.tasks.spawn(driver.run());
            drivers.servers.insert(task.id(), uri);
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Reporter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter").field("servers", &*self.servers.borrow()).finish_non_exhaustive()
    }
}

/// The running drivers by server.
#[derive(Default)]
struct Drivers {
    tasks: JoinSet<LoadReportState>,
    servers: HashMap<task::Id, Name>,
    /// The state of drivers that have ended: the backoff of a server that refuses holds although no cluster used the server
    /// meanwhile (TR-68).
    left: HashMap<Name, LoadReportState>,
}

impl Drivers {
    /// Waits until a driver has ended; its server may then have another one.
    async fn ended(&mut self) {
        let (id, state) = match self.tasks.join_next_with_id().await {
            Some(Ok((id, state))) => (id, Some(state)),
            Some(Err(error)) => (error.id(), None),
            None => std::future::pending().await,
        };
        if let Some(server) = self.servers.remove(&id) {
            self.left.extend(state.map(|state| (server, state)));
        }
    }

    fn left(&mut self, server: &Name) -> Option<LoadReportState> {
        self.left.remove(server)
    }
}
