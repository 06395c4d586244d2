//! Settings of the server.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Where to listen and how to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// xDS in plaintext; `127.0.0.1:15010` by default. Port 0 takes a free one.
    pub xds: SocketAddr,
    /// xDS with TLS as well; nowhere by default.
    pub tls: Option<TlsOptions>,
    /// Admin API without authentication; `127.0.0.1:15080` by default. Port 0 takes a free one.
    pub admin: SocketAddr,
    /// Names by which the admin API may be asked, besides addresses and `localhost`: a web page's name that stands for this
    /// machine is refused. None by default; `*` allows all.
    pub admin_hosts: Vec<String>,
    /// How many streams there may be, and how fast new ones may come.
    pub stream_limits: StreamLimits,
    /// How old a connection becomes before its clients are sent to another server, a tenth more or less; 30 min by
    /// default, zero for ever.
    pub max_connection_age: Duration,
    /// How long a connection may still wait for answers then; 30 s by default.
    pub max_connection_age_grace: Duration,
    /// How often clients are asked to report load; 10 s by default, zero takes no reports. The pipeline's
    /// [`load_reporting`](crate::pipeline::Options::load_reporting) makes clients report at all.
    pub load_report_interval: Duration,
    /// How long draining may take; 10 s by default.
    pub drain_timeout: Duration,
    /// Gets the bound addresses as JSON once both listeners are open; removed at the end.
    pub ready_file: Option<PathBuf>,
}

/// Limits on the streams of one service, ADS or load reports. The status of a refused stream names its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits {
    /// Streams at a time; 10,000 by default. There are twice as many connections at most, of one address nine tenths.
    pub max_streams: usize,
    /// New streams per second, of which a second's worth may come at once; later ones wait, for 5 s at most. 500 by
    /// default, 0 for no limit.
    pub per_second: u32,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self { max_streams: 10_000, per_second: 500 }
    }
}

/// A second xDS listener, with TLS. The files are PEM, and followed when they change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsOptions {
    /// Where it listens. Port 0 takes a free one.
    pub address: SocketAddr,
    /// The server's certificate, and the intermediate certificates up to the authority that clients trust.
    pub certificate: PathBuf,
    /// Its private key: PKCS#8, PKCS#1 or SEC1, not encrypted.
    pub key: PathBuf,
    /// Whether clients show certificates.
    pub client_auth: ClientAuth,
}

impl TlsOptions {
    /// `127.0.0.1:15012`.
    pub const DEFAULT_ADDRESS: SocketAddr =
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DEFAULT_XDS_TLS_PORT);
}

/// Whether clients show certificates; with the file of the authorities that issue them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientAuth {
    /// They are not asked for one.
    None,
    /// A client without one may connect; one with a bad one may not.
    Optional(PathBuf),
    /// A client without one may not connect (mutual TLS).
    Required(PathBuf),
}

impl Default for Options {
    fn default() -> Self {
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            xds: loopback(DEFAULT_XDS_PORT),
            tls: None,
            admin: loopback(DEFAULT_ADMIN_PORT),
            admin_hosts: Vec::new(),
            stream_limits: StreamLimits::default(),
            max_connection_age: Duration::from_secs(30 * 60),
            max_connection_age_grace: Duration::from_secs(30),
            load_report_interval: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(10),
            ready_file: None,
        }
    }
}

const DEFAULT_XDS_PORT: u16 = 15010;
const DEFAULT_XDS_TLS_PORT: u16 = 15012;
const DEFAULT_ADMIN_PORT: u16 = 15080;
