//! A filter chain of a server.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{
    DomainPattern, FilterInstance, HeaderMutations, MutationOrder, Name, Route, RouteAction, RouteMatch,
    ServerTls, VirtualHost,
};

use super::ChainMatch;

/// What happens on connections that match: how they are secured, and which calls reach the application.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ServerChain {
    /// The name that keeps the state of its filters over an update; `None`: the state is lost.
    // LDS-21
    pub name: Option<Name>,
    /// Which connections it takes.
    pub matches: ChainMatch,
    /// How its connections are secured; `None`: in plaintext.
    // SEC-14
    pub tls: Option<Arc<ServerTls>>,
    /// Its calls.
    pub http: ServerHttp,
}

impl ServerChain {
    /// A chain in plaintext for every connection, without filters.
    pub fn new(routes: ServerRoutes) -> Self {
        let routes = ServerRouteSource::Inline(Arc::new(routes));
        let http = ServerHttp { filters: Arc::default(), routes, max_stream_duration: None };
        Self { name: None, matches: ChainMatch::default(), tls: None, http }
    }

    /// For these connections only.
    #[must_use]
    pub fn matching(self, matches: ChainMatch) -> Self {
        Self { matches, ..self }
    }

    /// With connections that are secured like this.
    #[must_use]
    pub fn with_tls(self, tls: impl Into<Arc<ServerTls>>) -> Self {
        Self { tls: Some(tls.into()), ..self }
    }

    /// With these HTTP filters, in the order in which requests pass them.
    #[must_use]
    pub fn with_filters(mut self, filters: impl Into<Arc<[FilterInstance]>>) -> Self {
        self.http.filters = filters.into();
        self
    }
}

/// The HTTP connection manager of a chain.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ServerHttp {
    /// In the order in which requests pass them; responses pass them in the reverse order.
    pub filters: Arc<[FilterInstance]>,
    /// Where its routes are.
    pub routes: ServerRouteSource,
    /// The longest time of a call; `None` is no limit.
    // LDS-05
    pub max_stream_duration: Option<Duration>,
}

impl ServerHttp {
    /// A connection manager without a limit.
    pub fn new(routes: ServerRouteSource, filters: impl Into<Arc<[FilterInstance]>>) -> Self {
        Self { filters: filters.into(), routes, max_stream_duration: None }
    }
}

/// The source of a chain's routes.
#[derive(Debug, Clone, PartialEq)]
pub enum ServerRouteSource {
    /// In the chain itself.
    Inline(Arc<ServerRoutes>),
    /// Under this name beside the listener: a change reaches the next call, and drains nothing.
    // SV-08, SV-10
    Named(Name),
}

/// The routes of a server: which calls it takes, and with which overrides of filters.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ServerRoutes {
    /// In configured order; the best domain match wins.
    pub virtual_hosts: Vec<Arc<VirtualHost>>,
    /// Changes of the headers of every call.
    pub headers: Arc<HeaderMutations>,
    /// In which order changes of headers are applied.
    pub header_order: MutationOrder,
}

impl ServerRoutes {
    /// These virtual hosts.
    pub fn new(virtual_hosts: impl IntoIterator<Item = VirtualHost>) -> Self {
        Self { virtual_hosts: virtual_hosts.into_iter().map(Arc::new).collect(), ..Self::default() }
    }

    /// Every call of every authority.
    pub fn all() -> Self {
        let route = Route::new(RouteMatch::any(), RouteAction::NonForwarding);
        Self::new([VirtualHost::new("any", vec![DomainPattern::Any], vec![Arc::new(route)])])
    }
}
