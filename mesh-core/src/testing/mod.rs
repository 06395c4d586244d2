//! What tests and benches of other crates need of this one.

mod handshakes;
mod tokens;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;

use crate::config::LbPolicy;
use crate::filter::{DescriptorLimit, RateLimitPolicy};
use crate::policy::first_bytes::{FirstBytes, classify};
use crate::policy::lb::{Balancer, EndpointLoad, LbEndpoint, Moment};
pub use crate::policy::load_report::orca::OrcaReport;
use crate::policy::rate_limit::{BucketSource, CallView, PerValue, RateLimiter, TokenBucket};
use crate::shared::SharedList;
pub use handshakes::TlsDialer;
pub use tokens::TokenIssuer;

/// Whether a server takes a client for one that speaks TLS or HTTP/2, by its first bytes; `None`: it needs more of them.
pub fn first_bytes(bytes: &[u8]) -> Option<bool> {
    match classify(bytes) {
        FirstBytes::Incomplete => None,
        FirstBytes::Tls | FirstBytes::Http2 => Some(true),
        FirstBytes::Other => Some(false),
    }
}

/// The decision of a rate limit, without a filter around it.
#[derive(Debug)]
pub struct RateLimitDecision(RateLimiter);

impl RateLimitDecision {
    /// With full buckets.
    pub fn new(policy: RateLimitPolicy) -> Self {
        Self(RateLimiter::new(policy, &NewBuckets))
    }

    /// Whether a call with these headers passes.
    pub fn passes(&self, headers: &HeaderMap, now: Duration) -> bool {
        let call = CallView { headers, cluster: "", peer: None };
        self.0.check(call, now).refused_by.is_none()
    }
}

struct NewBuckets;

impl BucketSource for NewBuckets {
    fn bucket(&self, _: Option<&DescriptorLimit>) -> Arc<TokenBucket> {
        Arc::default()
    }

    fn per_value(&self, _: &DescriptorLimit, policy: &RateLimitPolicy) -> Arc<PerValue> {
        Arc::new(PerValue::new(policy))
    }
}

/// A balancer of this policy, over the localities of one priority.
pub fn balancer(policy: &LbPolicy) -> Box<dyn Balancer> {
    crate::policy::lb::leaf(policy)
}

/// The list with the endpoint at this place replaced.
pub fn replaced(list: &SharedList<LbEndpoint>, at: usize, endpoint: LbEndpoint) -> SharedList<LbEndpoint> {
    list.with_replaced(at, endpoint)
}

/// A call to an endpoint has ended after this time, and the endpoint has reported a load of this weight.
pub fn report(load: &EndpointLoad, now: Instant, took: Duration, weight: f32) {
    load.latency.observe(Moment::of(now), took, Duration::from_secs(10));
    load.weight.report(weight);
}

/// An address of this machine that nothing else gets until this process ends: [`reserved_address_of`] IPv4's loopback.
///
/// # Panics
/// As there.
pub fn reserved_address() -> SocketAddr {
    reserved_address_of(Ipv4Addr::LOCALHOST.into())
}

/// An address of this IP with a port that nothing else gets until this process ends: connections are refused while
/// no server listens there, and a server that starts there, ends and starts again has the same port each time.
///
/// A port that was only looked up, by binding to port 0 and closing, soon belongs to someone else: the next test's
/// server answers where a refusal was meant. So a socket stays bound to it that never listens. `SO_REUSEADDR` lets one that
/// listens bind beside it, and keeps the kernel from giving the port to those who ask for any.
///
/// # Panics
/// Where there is no free port or no such address.
pub fn reserved_address_of(ip: IpAddr) -> SocketAddr {
    let domain = if ip.is_ipv4() { socket2::Domain::IPV4 } else { socket2::Domain::IPV6 };
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("an option that every system has");
    socket.bind(&SocketAddr::new(ip, 0).into()).expect("a free port");
    let address = socket.local_addr().ok().and_then(|address| address.as_socket());
    // open until the process ends
    std::mem::forget(socket);
    address.expect("a bound address")
}

/// Whether a text is a token that could be believed, were its signature right.
pub fn is_token(text: &str) -> bool {
    crate::policy::jwt::Token::parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::reserved_address;

    #[test]
    fn reserved_address_refuses_until_something_listens_and_again_after_it() {
        let address = reserved_address();
        for _ in 0..3 {
            TcpStream::connect(address).unwrap_err();
            let listener = TcpListener::bind(address).unwrap();
            TcpStream::connect(address).unwrap();
            drop(listener);
        }
        let others: Vec<_> = (0..100).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        assert!(others.iter().all(|other| other.local_addr().unwrap() != address));
    }
}
