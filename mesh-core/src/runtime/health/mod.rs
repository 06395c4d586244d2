//! Probes: one question to one endpoint about its health, over HTTP/2 or a stream of bytes.
//!
//! `policy::health` decides what the answers mean; `runtime::balance` decides when an endpoint is asked.

mod exchange;
mod grpc;
mod http1;
mod http2;
mod tcp;

pub(super) use exchange::OneBody;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::{ClientTls, ConnectionSettings, HealthProbe, Name, ProbeVersion};
use crate::policy::health::CheckResult;

use super::connect::{BoxedIo, Connect, ConnectTarget, Connection, Reserve, Security, WireProtocol};

/// Where and how an endpoint is asked.
#[derive(Debug)]
pub(super) struct ProbeTarget {
    /// In the order of preference.
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) hostname: Name,
    pub(super) tls: Option<Arc<ClientTls>>,
    pub(super) connection: Arc<ConnectionSettings>,
    pub(super) proxy: Option<SocketAddr>,
    /// The host of requests that name none.
    pub(super) host: Name,
    /// The host of requests to this endpoint, whatever the probe names.
    pub(super) own_host: Option<Name>,
}

impl ProbeTarget {
    fn at(&self, address: SocketAddr) -> ConnectTarget {
        ConnectTarget {
            address,
            hostname: self.hostname.clone(),
            security: Security::of(self.tls.as_ref(), &self.hostname),
            protocol: WireProtocol::Http2,
            connection: self.connection.clone(),
            proxy: self.proxy,
        }
    }

    /// The host of a request; `named` is the probe's.
    fn host<'a>(&'a self, named: Option<&'a Name>) -> &'a str {
        self.own_host.as_ref().or(named).unwrap_or(&self.host)
    }
}

/// Asks an endpoint once. A probe by HTTP/2 goes over `place`, if there is one, else over a new connection.
pub(super) async fn probe<C: Connect>(
    probe: &HealthProbe,
    target: &ProbeTarget,
    place: Option<<C::Connection as Connection>::Place>,
    connector: &C,
) -> CheckResult {
    match probe {
        HealthProbe::Grpc(probe) => grpc::check(probe, target, place, connector).await,
        HealthProbe::Http(probe) if probe.version == ProbeVersion::Http2 => {
            http2::check(probe, target, place, connector).await
        }
        HealthProbe::Http(probe) => http1::check(probe, target, connector).await,
        HealthProbe::Tcp(probe) => tcp::check(probe, target, connector).await,
    }
}

/// Whether a probe can go over the connection of an endpoint's calls.
pub(super) fn shares_connections(probe: &HealthProbe) -> bool {
    match probe {
        HealthProbe::Grpc(_) => true,
        HealthProbe::Http(probe) => probe.version == ProbeVersion::Http2,
        HealthProbe::Tcp(_) => false,
    }
}

/// Room on a new connection, which closes when it is no longer used.
async fn new_place<C: Connect>(
    target: &ProbeTarget,
    connector: &C,
) -> Result<(C::Connection, <C::Connection as Connection>::Place), CheckResult> {
    let mut failure = failed("the endpoint has no address");
    for address in &target.addresses {
        match connector.connect(&target.at(*address)).await {
            Ok(established) => {
                let connection = established.connection;
                return match connection.reserve() {
                    Reserve::Place(place) => Ok((connection, place)),
                    Reserve::Full | Reserve::Closed => {
                        Err(failed(format!("{address} takes no call on a new connection")))
                    }
                };
            }
            Err(error) => failure = failed(error.to_string()),
        }
    }
    Err(failure)
}

/// A stream of bytes to the first address that accepts one.
async fn new_stream<C: Connect>(target: &ProbeTarget, connector: &C) -> Result<BoxedIo, CheckResult> {
    let mut failure = failed("the endpoint has no address");
    for address in &target.addresses {
        match connector.open(&target.at(*address)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = failed(error.to_string()),
        }
    }
    Err(failure)
}

/// The URI of a request by HTTP/2. A host that is no authority is replaced by the address.
fn uri(target: &ProbeTarget, named: Option<&Name>, path: &str) -> String {
    let host = target.host(named);
    let is_authority = host.parse::<http::uri::Authority>().is_ok();
    match target.addresses.first() {
        Some(address) if !is_authority => format!("http://{address}{path}"),
        _ => format!("http://{host}{path}"),
    }
}

fn failed(reason: impl Into<Arc<str>>) -> CheckResult {
    CheckResult::Failed(reason.into())
}

fn refused(reason: impl Into<Arc<str>>) -> CheckResult {
    CheckResult::Refused(reason.into())
}

/// An answer is small; more of it is not read.
const MAX_ANSWER: usize = 64 << 10;
/// The `user-agent` of checks, as Envoy's.
const CHECKER: &str = "Envoy/HC";
