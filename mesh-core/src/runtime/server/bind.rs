//! A server: bound to its address, and served.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::task::JoinSet;
use tokio::time::timeout_at;
use tower_service::Service;

use crate::filter::FilterScope;
use crate::observe::ServerObserver;
use crate::runtime::connect::Connect;
use crate::runtime::rng::Randomness;
use crate::runtime::tls::ApplicationProtocol;
use crate::runtime::{Mesh, Protocol, SourceError};

use super::accept::Acceptor;
use super::connection;
use super::follower::Follower;
use super::generation::Scopes;
use super::service::ServerService;
use super::state::{OnState, Shared};
use super::token_keys::TokenKeys;
use super::{FixedServer, ServerHandle, ServerSettings, ServingState};

/// A server that is bound to its address. It accepts nothing before it is served, and dropping it ends everything.
#[derive(Debug)]
pub struct Server {
    acceptor: Acceptor,
    shared: Arc<Shared>,
}

/// The steps to a [`Server`].
#[must_use = "nothing is bound before `bind` or `fixed`"]
pub struct ServerBuilder {
    settings: ServerSettings,
    protocols: Vec<ApplicationProtocol>,
    on_state: Option<OnState>,
    observers: Vec<Arc<dyn ServerObserver>>,
}

impl Default for ServerBuilder {
    fn default() -> Self {
        Self {
            settings: ServerSettings::default(),
            protocols: vec![ApplicationProtocol::Http2],
            on_state: None,
            observers: Vec::new(),
        }
    }
}

impl std::fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl ServerBuilder {
    /// Limits and times.
    pub fn settings(self, settings: ServerSettings) -> Self {
        Self { settings, ..self }
    }

    /// The protocols that clients may speak, the preferred one first; HTTP/2 alone by default. Over TLS client and server agree
    /// on one by ALPN, in plaintext the client's first bytes decide.
    pub fn protocols(self, protocols: impl IntoIterator<Item = ApplicationProtocol>) -> Self {
        Self { protocols: protocols.into_iter().collect(), ..self }
    }

    /// Called with every change of the server's state. Must not block.
    // SV-04
    pub fn on_state(self, on_state: impl Fn(&ServingState) + Send + Sync + 'static) -> Self {
        Self { on_state: Some(Box::new(on_state)), ..self }
    }

    /// Lets one more observer learn of every call of the server, for metrics, spans or an access log, for example. None by default, and
    /// then nothing is measured.
    pub fn observer(mut self, observer: impl ServerObserver) -> Self {
        self.observers.push(Arc::new(observer));
        self
    }

    /// Binds a server that the mesh's source of configurations configures.
    ///
    /// # Errors
    /// [`BindError`] when the address cannot be bound, or when the source can never configure a server on it. Trouble with the
    /// control plane is none: the server waits.
    // SV-03
    pub async fn bind<C: Connect>(
        self,
        mesh: &Mesh<C>,
        address: impl ToSocketAddrs,
    ) -> Result<Server, BindError> {
        let listener = TcpListener::bind(address).await?;
        // SV-01: with the port that port 0 became
        let watch = mesh.watch_server(listener.local_addr()?).map_err(BindError::Source)?;
        let (scope, randomness) = mesh.server_parts();
        self.build(listener, watch, scope, randomness)
    }

    /// Binds a server without a control plane.
    ///
    /// # Errors
    /// [`BindError`] when the address cannot be bound.
    pub async fn fixed(self, config: &FixedServer, address: impl ToSocketAddrs) -> Result<Server, BindError> {
        let listener = TcpListener::bind(address).await?;
        let randomness = Arc::new(Randomness::new(rand::random()));
        self.build(listener, config.watch(), FilterScope::default(), randomness)
    }

    fn build(
        self,
        listener: TcpListener,
        watch: crate::runtime::ServerConfigWatch,
        scope: FilterScope,
        randomness: Arc<Randomness>,
    ) -> Result<Server, BindError> {
        let scope = scope.with_remote_keys(Arc::new(TokenKeys::new(self.settings.token_keys.clone())));
        let address = listener.local_addr()?;
        let Self { settings, protocols, on_state, observers } = self;
        let shared = Shared::new(address, settings, protocols, randomness, on_state, observers.into());
        let shared = Arc::new(shared);
        shared.tls.count_in(scope.counters());
        let follower = Follower::new(watch, Scopes::new(scope), shared.clone());
        let acceptor = Acceptor::new(listener, follower, shared.clone());
        Ok(Server { acceptor, shared })
    }
}

impl Server {
    /// The steps to a server.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// Observes and stops it.
    pub fn handle(&self) -> ServerHandle {
        ServerHandle(self.shared.clone())
    }

    /// Serves the application's calls until the server is [shut down](ServerHandle::shutdown). Each call runs in a task of its
    /// own: a panic fails that call alone.
    pub async fn serve<P, S, B>(self, application: S)
    where
        P: Protocol,
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let Self { mut acceptor, shared } = self;
        let _ended = Ended(shared.clone());
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                opened = acceptor.next() => {
                    let Some(opened) = opened else { break };
                    let connection = opened.connection.clone();
                    let service = ServerService::<P, S>::on(application.clone(), connection);
                    connections.spawn(connection::serve(opened, service));
                }
                Some(_) = connections.join_next() => {}
            }
        }
        // the listening socket is closed, and connections that were being opened
        drop(acceptor);
        let deadline = shared.stopping().await;
        // each connection cuts itself at the deadline; this is for one that does not get to it
        let _ =
            timeout_at(deadline + LAST_MOMENT, async { while connections.join_next().await.is_some() {} })
                .await;
    }
}

/// Tells those who wait for the end of a server, also if it is dropped.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.set_ended();
    }
}

const LAST_MOMENT: std::time::Duration = std::time::Duration::from_secs(1);

/// Why a server cannot be bound.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address cannot be bound.
    #[error("the address cannot be bound")]
    Io(#[from] io::Error),
    /// No server of this process can be configured.
    #[error("the server cannot be configured")]
    Source(#[source] SourceError),
}

crate::debug_with_causes!(BindError);
