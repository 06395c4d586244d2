//! The connections that stand: one per server, as long as a stream is on it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tonic::transport::Channel;

use super::{GrpcTransport, channel};
use crate::bootstrap::ServerConfig;
use crate::transport::TransportError;

/// A connection. Its streams hold it; it ends with the last of them.
#[derive(Debug)]
pub(super) struct Connection {
    channel: Channel,
    is_retired: AtomicBool,
}

impl Connection {
    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// No new stream is opened on it: the next one makes a connection of its own, with the files and the addresses of
    /// its day.
    pub(super) fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
    }
}

/// The connections that stand, by server (BS-23).
#[derive(Debug, Default)]
pub(super) struct Pool {
    places: Mutex<HashMap<ServerConfig, Place>>,
}

/// Where a server's connection is, if there is one; locked while it is made, so that two streams that are opened at
/// once make one.
type Place = Arc<tokio::sync::Mutex<Weak<Connection>>>;

impl Pool {
    /// The server's connection: the one that stands, or a new one.
    pub(super) async fn connection(
        &self,
        settings: &GrpcTransport,
        server: &ServerConfig,
    ) -> Result<Arc<Connection>, TransportError> {
        let mut standing = self.place(server).lock_owned().await;
        if let Some(connection) = standing.upgrade()
            && !connection.is_retired.load(Ordering::Relaxed)
        {
            return Ok(connection);
        }
        let channel = channel::connect(settings, server).await?;
        let connection = Arc::new(Connection { channel, is_retired: AtomicBool::new(false) });
        *standing = Arc::downgrade(&connection);
        Ok(connection)
    }

    fn place(&self, server: &ServerConfig) -> Place {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.entry(server.clone()).or_default().clone()
    }
}
