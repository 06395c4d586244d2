//! From a name to a stream of bytes.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use mesh_core::runtime::connect::{ConnectTarget, Dial};

use crate::transport::TransportError;

/// Finds the addresses of a name.
pub(super) trait Resolve: Send + Sync {
    fn resolve(&self, host: &str, port: u16) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;
}

/// The system's resolver.
#[derive(Debug)]
pub(super) struct System;

impl Resolve for System {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}

/// Resolves the name once, unless it is an address.
pub(super) async fn resolve(
    resolver: &impl Resolve,
    host: &str,
    port: u16,
) -> Result<Vec<SocketAddr>, TransportError> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    match resolver.resolve(host, port).await {
        Ok(addresses) if addresses.is_empty() => {
            Err(TransportError::failed(format!("the name {host} has no address")))
        }
        Ok(addresses) => Ok(addresses),
        Err(error) => Err(TransportError::failed(format!("cannot resolve the name {host}: {error}"))),
    }
}

/// Connects to the address that answers first. The next address is tried when one has failed or has not answered for
/// [`STAGGER`]; IPv6 and IPv4 take turns (RFC 8305).
///
/// # Errors
/// None can be reached: the errors of the first few.
pub(super) async fn race<D: Dial>(dial: &D, addresses: Vec<SocketAddr>) -> Result<D::Io, TransportError> {
    let mut waiting = by_turns(addresses).into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut failures = Vec::new();
    loop {
        match waiting.next() {
            Some(address) => {
                attempts.push(async move { (address, dial.dial(&ConnectTarget::new(address)).await) })
            }
            None if attempts.is_empty() => return Err(unreachable(&failures)),
            None => {}
        }
        tokio::select! {
            Some((address, attempt)) = attempts.next() => match attempt {
                Ok(io) => return Ok(io),
                Err(error) => failures.push(format!("{address}: {error}")),
            },
            () = tokio::time::sleep(STAGGER), if waiting.len() > 0 => {}
        }
    }
}

/// In the resolver's order, but alternating between IPv6 and IPv4, beginning with the first one's family.
fn by_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let is_first_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == is_first_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut all = Vec::new();
    while first.len() + second.len() > 0 {
        all.extend(first.next());
        all.extend(second.next());
    }
    all
}

fn unreachable(failures: &[String]) -> TransportError {
    let told = failures[..failures.len().min(TOLD)].join("; ");
    TransportError::failed(match failures.len() {
        many if many > TOLD => format!("{told}; and {} addresses more", many - TOLD),
        _ => told,
    })
}

const STAGGER: Duration = Duration::from_millis(250);

/// The number of failures that an error names.
const TOLD: usize = 3;

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::io::DuplexStream;
    use tokio::time::Instant;

    use super::*;

    /// Ports below 10 answer after a second, ports below 20 refuse, the others never answer.
    #[derive(Debug)]
    struct Fake {
        began: Instant,
        tried: Mutex<Vec<(SocketAddr, Duration)>>,
    }

    impl Fake {
        fn new() -> Self {
            Self { began: Instant::now(), tried: Mutex::default() }
        }

        fn tried(&self) -> Vec<(u16, u128)> {
            self.tried.lock().unwrap().iter().map(|(at, when)| (at.port(), when.as_millis())).collect()
        }
    }

    impl Dial for Fake {
        type Io = DuplexStream;

        async fn dial(&self, target: &ConnectTarget) -> io::Result<DuplexStream> {
            let address = target.address;
            self.tried.lock().unwrap().push((address, self.began.elapsed()));
            match address.port() {
                0..10 => tokio::time::sleep(Duration::from_secs(1)).await,
                10..20 => return Err(io::Error::from_raw_os_error(111)),
                _ => std::future::pending().await,
            }
            Ok(tokio::io::duplex(1).0)
        }
    }

    fn v4(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    fn v6(port: u16) -> SocketAddr {
        ([0, 0, 0, 0, 0, 0, 0, 1], port).into()
    }

    #[tokio::test(start_paused = true)]
    async fn silent_address_delays_the_next_by_a_moment_and_a_refusing_one_not_at_all() {
        let dial = Fake::new();
        race(&dial, vec![v6(20), v6(11), v6(1), v4(21)]).await.unwrap();
        assert_eq!(dial.tried(), [(20, 0), (21, 250), (11, 500), (1, 500)]);
        assert_eq!(dial.began.elapsed(), Duration::from_millis(1500));
    }

    #[tokio::test(start_paused = true)]
    async fn unreachable_error_names_the_first_addresses() {
        let error = race(&Fake::new(), vec![v4(11), v4(12)]).await.unwrap_err().to_string();
        assert_eq!(
            error,
            "127.0.0.1:11: Connection refused (os error 111); 127.0.0.1:12: Connection refused (os error 111)"
        );
        let error = race(&Fake::new(), (10..20).map(v4).collect()).await.unwrap_err().to_string();
        assert!(error.ends_with("; and 7 addresses more"), "{error}");
    }

    struct Names(Mutex<usize>);

    impl Resolve for Names {
        async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
            *self.0.lock().unwrap() += 1;
            match host {
                "two.example" => Ok(vec![v6(port), v4(port)]),
                "empty.example" => Ok(Vec::new()),
                _ => Err(io::Error::other("Name or service not known")),
            }
        }
    }

    #[tokio::test]
    async fn name_is_resolved_once_and_address_never() {
        let names = Names(Mutex::default());
        assert_eq!(resolve(&names, "two.example", 1).await, Ok(vec![v6(1), v4(1)]));
        assert_eq!(*names.0.lock().unwrap(), 1);
        assert_eq!(resolve(&names, "127.0.0.1", 1).await, Ok(vec![v4(1)]));
        assert_eq!(resolve(&names, "::1", 1).await, Ok(vec![v6(1)]));
        assert_eq!(*names.0.lock().unwrap(), 1);
        let rows = [
            ("none.example", "cannot resolve the name none.example: Name or service not known"),
            ("empty.example", "the name empty.example has no address"),
        ];
        for (host, expected) in rows {
            assert_eq!(resolve(&names, host, 1).await.unwrap_err().to_string(), expected);
        }
    }
}
