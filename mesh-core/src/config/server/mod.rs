//! A server's configuration (gRFC A36): which connections it takes, how they are secured, and which calls reach the
//! application.
//!
//! Without a control plane:
//!
//! ```
//! use mesh_core::config::{ServerChain, ServerConfig, ServerListener, ServerRoutes};
//!
//! // Every connection, in plaintext, and every call.
//! let chain = ServerChain::new(ServerRoutes::all());
//! let config = ServerConfig::new(ServerListener::new([chain]), Default::default())?;
//! # Ok::<(), mesh_core::config::ConfigError>(())
//! ```

mod chain;
mod chain_match;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

pub use chain::{ServerChain, ServerHttp, ServerRouteSource, ServerRoutes};
pub use chain_match::{ChainMatch, IpPrefix, SourceType, TransportProtocol};

use super::{ConfigError, Name, ResourceError, ServerTls};

/// The whole configuration of one listening address.
///
/// Invariant: every route configuration that a chain names is a key of [`routes`](Self::routes), with its value or with the
/// reason why there is none.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerConfig {
    listener: Arc<ServerListener>,
    routes: HashMap<Name, Result<Arc<ServerRoutes>, ResourceError>>,
}

impl ServerConfig {
    /// A configuration from its parts. A server that gets another `listener` drains its connections; other `routes` take
    /// effect for the next call, and drain nothing.
    ///
    /// # Errors
    /// [`ConfigError::SameConnections`] when two chains match the same connections, [`ConfigError::UnknownRoutes`] when a
    /// chain names routes that are not a key of `routes`.
    // SV-08
    pub fn new(
        listener: impl Into<Arc<ServerListener>>,
        routes: HashMap<Name, Result<Arc<ServerRoutes>, ResourceError>>,
    ) -> Result<Self, ConfigError> {
        let listener = listener.into();
        // LDS-17
        let matches: Vec<_> = listener.chains.iter().map(|chain| &chain.matches).collect();
        for (second, chain) in matches.iter().enumerate() {
            if let Some(first) = matches[..second].iter().position(|earlier| earlier.overlaps(chain)) {
                return Err(ConfigError::SameConnections { first, second });
            }
        }
        for chain in listener.all_chains() {
            if let ServerRouteSource::Named(name) = &chain.http.routes
                && !routes.contains_key(name)
            {
                return Err(ConfigError::UnknownRoutes { routes: name.clone() });
            }
        }
        Ok(Self { listener, routes })
    }

    /// A listener with this chain alone.
    ///
    /// # Errors
    /// [`ConfigError::UnknownRoutes`] when the chain takes its routes by name.
    pub fn of_chain(chain: ServerChain) -> Result<Self, ConfigError> {
        Self::new(ServerListener::new([chain]), HashMap::new())
    }

    /// Everything but the routes that chains take by name.
    pub fn listener(&self) -> &Arc<ServerListener> {
        &self.listener
    }

    /// A listener with two chains: clients that speak TLS are secured like `tls`, the others are in plaintext; the first bytes of a
    /// connection decide. Both have the routes and filters of `chain`.
    ///
    /// # Errors
    /// [`ConfigError::UnknownRoutes`] when the chain takes its routes by name.
    pub fn permissive(chain: &ServerChain, tls: impl Into<Arc<ServerTls>>) -> Result<Self, ConfigError> {
        let speaking = |chain: &ServerChain, protocol| {
            let mut matches = chain.matches.clone();
            matches.transport_protocol = protocol;
            chain.clone().matching(matches)
        };
        let secured = speaking(chain, TransportProtocol::Tls).with_tls(tls);
        let plain = speaking(chain, TransportProtocol::RawBuffer);
        Self::new(ServerListener::new([secured, plain]), HashMap::new())
    }

    /// The route configurations that chains name.
    pub fn routes(&self) -> &HashMap<Name, Result<Arc<ServerRoutes>, ResourceError>> {
        &self.routes
    }
}

/// Which connections a server takes, and with which filter chain.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ServerListener {
    /// The address that the configuration is for; `None`: any. A server on another address does not serve.
    // SV-05
    pub address: Option<SocketAddr>,
    /// In configured order; the most specific match takes a connection.
    pub chains: Vec<Arc<ServerChain>>,
    /// Takes connections that no other chain takes; `None`: they are closed.
    // SV-17
    pub default_chain: Option<Arc<ServerChain>>,
}

impl ServerListener {
    /// A listener for any address, without a default chain.
    pub fn new(chains: impl IntoIterator<Item = ServerChain>) -> Self {
        Self { address: None, chains: chains.into_iter().map(Arc::new).collect(), default_chain: None }
    }

    /// All chains, the default one last.
    pub fn all_chains(&self) -> impl Iterator<Item = &Arc<ServerChain>> {
        self.chains.iter().chain(&self.default_chain)
    }
}
