//! What can be chosen about the server.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Where to listen and how to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// xDS in plaintext; `127.0.0.1:15010` by default. Port 0 takes a free one.
    pub xds: SocketAddr,
    /// Admin API without authentication; `127.0.0.1:15080` by default. Port 0 takes a free one.
    pub admin: SocketAddr,
    /// How long draining may take; 10 s by default.
    pub drain_timeout: Duration,
    /// Gets the bound addresses as JSON once both listeners are open; removed at the end.
    pub ready_file: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            xds: loopback(DEFAULT_XDS_PORT),
            admin: loopback(DEFAULT_ADMIN_PORT),
            drain_timeout: Duration::from_secs(10),
            ready_file: None,
        }
    }
}

const DEFAULT_XDS_PORT: u16 = 15010;
const DEFAULT_ADMIN_PORT: u16 = 15080;
