//! The routes of a filter chain, compiled.

use std::sync::Arc;

use rand::Rng;

use crate::config::{Name, Route, RouteAction, ServerHttp, ServerRoutes, VirtualHost};
use crate::filter::{ChainCompiler, FilterChain, FilterScope, Level};
use crate::policy::route::{RequestHead, RouteTable};

/// The routes of a chain: all virtual hosts, since each call has an authority of its own.
#[derive(Debug)]
pub(super) struct Routes {
    table: RouteTable,
    /// By virtual host, then by route.
    plans: Box<[Box<[Plan]>]>,
}

/// What happens to calls of a route.
#[derive(Debug)]
pub(super) enum Plan {
    /// The application gets them.
    Serve {
        /// The route's name, or its path where it has none.
        route: Name,
        /// `None`: calls pass no filters.
        filters: Option<Arc<FilterChain>>,
    },
    /// They fail: the action is none for servers. The text names it.
    Unsupported(&'static str),
}

impl Routes {
    /// Compiles the routes of a connection manager. In `scope` filters keep state that outlives this configuration.
    pub(super) fn new(http: &ServerHttp, routes: &ServerRoutes, scope: &FilterScope) -> Self {
        let mut chains = ChainCompiler::of(&http.filters, (&routes.headers, routes.header_order), scope);
        let of_host = |host: &Arc<VirtualHost>| {
            host.routes.iter().map(|route| plan(host, route, &mut chains)).collect()
        };
        let plans = routes.virtual_hosts.iter().map(of_host).collect();
        Self { table: RouteTable::new(&routes.virtual_hosts), plans }
    }

    /// The plan for a call.
    ///
    /// # Errors
    /// Which part of the routes does not know the call.
    // SV-18
    pub(super) fn select(&self, head: &RequestHead<'_>, rng: &mut dyn Rng) -> Result<&Plan, &'static str> {
        let host = self.table.find_host(head.authority).ok_or("no virtual host serves this authority")?;
        let index = self.table.select_route(host, head, rng).ok_or(NO_ROUTE)?;
        self.plans.get(index.host).and_then(|host| host.get(index.route)).ok_or(NO_ROUTE)
    }

    /// The actions of routes that are none for servers.
    pub(super) fn unsupported(&self) -> impl Iterator<Item = &'static str> {
        self.plans.iter().flatten().filter_map(|plan| match plan {
            Plan::Unsupported(what) => Some(*what),
            Plan::Serve { .. } => None,
        })
    }
}

// RT-20
const NO_ROUTE: &str = "no route of this server takes the call";

fn plan(host: &VirtualHost, route: &Route, chains: &mut ChainCompiler<'_>) -> Plan {
    match &route.action {
        RouteAction::NonForwarding => {
            let name: Name = match route.name.as_str() {
                "" => route.matches.path.to_string().into(),
                name => name.into(),
            };
            // HF-02: a server has no clusters, so no overrides of one
            let levels = [
                Level { name: &host.name, filters: &host.filters, headers: &host.headers },
                Level { name: &name, filters: &route.filters, headers: &route.headers },
            ];
            let filters = chains.chain(&levels);
            Plan::Serve { route: name, filters }
        }
        // RT-21
        RouteAction::Forward(_) => Plan::Unsupported("route"),
        RouteAction::Unsupported(what) => Plan::Unsupported(what),
    }
}
