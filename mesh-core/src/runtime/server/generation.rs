//! A listener in use: its filter chains, compiled, and the signal on which its connections drain.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::{
    Name, ResourceError, ServerChain, ServerConfig, ServerListener, ServerRouteSource, ServerRoutes,
    TransportProtocol,
};
use crate::filter::FilterScope;
use crate::policy::filter_chain::{ConnectionFacts, Spoken, select};

use super::routes::Routes;

/// A listener in use. The connections that it has taken keep it until they end.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) listener: Arc<ServerListener>,
    /// In configured order, the default chain last.
    chains: Vec<Arc<Chain>>,
    drain: watch::Sender<Drain>,
}

/// Whether connections go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drain {
    /// They go on.
    No,
    /// They take no new calls, and end with their last one, at the latest at this time.
    Until(Instant),
}

impl Generation {
    pub(super) fn new(config: &ServerConfig, scopes: &mut Scopes) -> Self {
        let listener = config.listener().clone();
        let chain =
            |chain: &Arc<ServerChain>| Arc::new(Chain::new(chain, config, scopes.of(chain.name.as_ref())));
        let chains = listener.all_chains().map(chain).collect();
        Self { listener, chains, drain: watch::Sender::new(Drain::No) }
    }

    /// Takes over the routes that chains name: the next call of every connection sees them.
    // SV-10
    pub(super) fn update_routes(&self, config: &ServerConfig) {
        self.chains.iter().for_each(|chain| chain.update_routes(config));
    }

    /// Whether a client's first bytes decide which chain takes it.
    pub(super) fn looks_at_first_bytes(&self) -> bool {
        let is_tls = |chain: &Arc<ServerChain>| chain.matches.transport_protocol == TransportProtocol::Tls;
        self.listener.chains.iter().any(is_tls)
    }

    /// The chain for a connection from `source` at `local`; `None`: none takes it. `bound` is the server's own address.
    pub(super) fn chain(
        &self,
        (source, local, bound): (SocketAddr, SocketAddr, SocketAddr),
        first_bytes: Option<Spoken>,
    ) -> Option<Arc<Chain>> {
        // SV-13
        let destination = bound.ip().to_canonical().is_unspecified().then(|| local.ip());
        let facts = ConnectionFacts { destination, local: local.ip(), source, first_bytes };
        let found = select(self.listener.chains.iter().map(|chain| &chain.matches), &facts);
        // SV-17
        let index =
            found.or_else(|| self.listener.default_chain.is_some().then_some(self.listener.chains.len()));
        self.chains.get(index?).cloned()
    }

    /// Its connections take no new calls, and those that are not over at `deadline` are cut. The earliest deadline counts.
    pub(super) fn drain(&self, deadline: Instant) {
        self.drain.send_modify(|drain| {
            *drain = Drain::Until(match *drain {
                Drain::No => deadline,
                Drain::Until(earlier) => earlier.min(deadline),
            });
        });
    }

    /// The signal for one connection.
    pub(super) fn watch_drain(&self) -> watch::Receiver<Drain> {
        self.drain.subscribe()
    }
}

/// A filter chain in use.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) config: Arc<ServerChain>,
    scope: FilterScope,
    routes: ArcSwap<ChainRoutes>,
}

/// The routes of a chain as they are now.
#[derive(Debug)]
pub(super) struct ChainRoutes {
    source: Result<Arc<ServerRoutes>, ResourceError>,
    /// `None`: there are none, and every call fails (SV-18).
    pub(super) compiled: Option<Routes>,
}

impl Chain {
    fn new(chain: &Arc<ServerChain>, config: &ServerConfig, scope: FilterScope) -> Self {
        let routes = match &chain.http.routes {
            ServerRouteSource::Inline(routes) => Ok(routes.clone()),
            ServerRouteSource::Named(name) => named(config, name),
        };
        let routes = ChainRoutes::new(chain, routes, &scope);
        routes.log(None);
        Self { config: chain.clone(), scope, routes: ArcSwap::from_pointee(routes) }
    }

    fn update_routes(&self, config: &ServerConfig) {
        let ServerRouteSource::Named(name) = &self.config.http.routes else { return };
        let (routes, last) = (named(config, name), self.routes.load());
        let is_same = match (&routes, &last.source) {
            (Ok(routes), Ok(last)) => Arc::ptr_eq(routes, last) || routes == last,
            (Err(error), Err(last)) => error == last,
            _ => false,
        };
        if !is_same {
            let routes = ChainRoutes::new(&self.config, routes, &self.scope);
            routes.log(Some(&last));
            self.routes.store(Arc::new(routes));
        }
    }

    /// The routes for one call.
    pub(super) fn routes(&self) -> arc_swap::Guard<Arc<ChainRoutes>> {
        self.routes.load()
    }
}

impl ChainRoutes {
    fn new(
        chain: &ServerChain,
        source: Result<Arc<ServerRoutes>, ResourceError>,
        scope: &FilterScope,
    ) -> Self {
        let compiled = source.as_ref().ok().map(|routes| Routes::new(&chain.http, routes, scope));
        Self { source, compiled }
    }

    /// What makes calls fail that a correct configuration would serve.
    fn problem(&self) -> Option<String> {
        match (&self.source, &self.compiled) {
            (Err(error), _) => Some(error.to_string()),
            (Ok(_), Some(routes)) => {
                let what = routes.unsupported().next()?;
                Some(format!("a route of a server has the action {what:?}: its calls fail"))
            }
            (Ok(_), None) => None,
        }
    }

    // SV-20: one line for each bad update, and one when the problem is over
    fn log(&self, last: Option<&Self>) {
        match (self.problem(), last.and_then(Self::problem)) {
            (Some(problem), last) if last.as_ref() != Some(&problem) => tracing::warn!("server: {problem}"),
            (None, Some(_)) => tracing::info!("server: the routes are correct again"),
            _ => {}
        }
    }
}

/// The routes of this name. A configuration has every name that its chains use.
fn named(config: &ServerConfig, name: &Name) -> Result<Arc<ServerRoutes>, ResourceError> {
    let missing = || Err(ResourceError::new(format!("route configuration {name:?} is not configured")));
    config.routes().get(name).cloned().unwrap_or_else(missing)
}

/// Where filters of a server's chains keep what survives updates of the listener.
#[derive(Debug)]
pub(super) struct Scopes {
    mesh: FilterScope,
    by_chain: HashMap<Name, FilterScope>,
}

impl Scopes {
    pub(super) fn new(mesh: FilterScope) -> Self {
        Self { mesh, by_chain: HashMap::new() }
    }

    /// LDS-21: a chain without a name begins with new state.
    fn of(&mut self, chain: Option<&Name>) -> FilterScope {
        match chain {
            None => self.mesh.of_target(),
            Some(name) => self.by_chain.entry(name.clone()).or_insert_with(|| self.mesh.of_target()).clone(),
        }
    }

    /// Forgets the chains that this listener does not have.
    pub(super) fn keep(&mut self, listener: &ServerListener) {
        self.by_chain.retain(|name, _| listener.all_chains().any(|chain| chain.name.as_ref() == Some(name)));
    }
}
