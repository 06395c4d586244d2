//! Listeners of servers, made when a server asks for one: a server may listen on any address, so their names are not known
//! before.

use std::fmt::Debug;
use std::sync::Arc;

use super::{ClientScope, EncodedResource};

/// Makes the listeners of servers.
pub trait ServerListeners: Debug + Send + Sync {
    /// The listener of this name for a server; `None`: it gets none.
    fn listener(&self, name: &str, server: &ClientScope) -> Option<Arc<EncodedResource>>;

    /// The trust domain of the mesh's identities.
    fn trust_domain(&self) -> Arc<str>;
}

/// The listeners of servers of one revision.
#[derive(Debug, Clone)]
pub(super) struct Servers {
    /// Reports a change of any of them.
    pub(super) any: Arc<str>,
    pub(super) listeners: Arc<dyn ServerListeners>,
}

impl Servers {
    pub(super) fn new(listeners: Arc<dyn ServerListeners>) -> Self {
        Self { any: SERVER_LISTENERS.into(), listeners }
    }
}

/// The start of the name of every server's listener; the address follows. As in Istio, and in the bootstraps that `meshctl`
/// prints.
pub(crate) const SERVER_LISTENERS: &str = "xds.istio.io/grpc/lds/inbound/";

/// Whether a listener of this name is one of a server.
pub(crate) fn is_server_listener(name: &str) -> bool {
    name.starts_with(SERVER_LISTENERS)
}
