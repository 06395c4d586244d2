//! A cluster whose one endpoint is a DNS name (gRFC A37).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::config::{Endpoint, EndpointAddresses, EndpointSet, Locality, Name, Priority};
use crate::policy::dns::Resolution;

use super::mailbox::{Event, Mailbox};

/// A DNS name and its addresses.
#[derive(Debug)]
pub(super) struct LogicalDns {
    host: Name,
    port: u16,
    resolution: Resolution,
    /// The number of the last lookup.
    lookup: u64,
    task: Option<AbortHandle>,
    known: Option<EndpointAddresses>,
    /// No lookup has succeeded or failed yet.
    pending: bool,
}

impl LogicalDns {
    pub(super) fn new(host: Name, port: u16, interval: Duration) -> Self {
        let resolution = Resolution::new(interval);
        Self { host, port, resolution, lookup: 0, task: None, known: None, pending: true }
    }

    /// Whether this is the name.
    pub(super) fn is(&self, host: &str, port: u16) -> bool {
        *self.host == *host && self.port == port
    }

    /// Whether calls wait for the first lookup.
    pub(super) fn is_pending(&self) -> bool {
        self.pending
    }

    /// A connection failed or was lost: the addresses may be out of date.
    pub(super) fn request(&mut self) {
        self.resolution.request();
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.resolution.next_deadline()
    }

    /// Whether this is the number of the last lookup.
    pub(super) fn is_lookup(&self, number: u64) -> bool {
        self.lookup == number
    }

    /// Looks the name up if it is due; the mailbox gets the result, with this number.
    pub(super) fn resolve<T: Send + Sync + 'static>(
        &mut self,
        now: Instant,
        number: u64,
        runtime: &Handle,
        mailbox: &Arc<Mailbox<T>>,
    ) {
        if !self.resolution.start(now) {
            return;
        }
        self.lookup = number;
        let (host, port, mailbox) = (self.host.clone(), self.port, mailbox.clone());
        let task = runtime.spawn(async move {
            let answer = match tokio::net::lookup_host((&*host, port)).await {
                Ok(addresses) => Ok(addresses.collect()),
                Err(error) => Err(error.to_string()),
            };
            mailbox.push(Event::Resolved(number, answer));
        });
        self.task = Some(task.abort_handle());
    }

    /// Sets the result of the last lookup. An error changes nothing if addresses are known.
    pub(super) fn on_answer(
        &mut self,
        now: Instant,
        answer: Result<Vec<SocketAddr>, String>,
        rng: &mut dyn Rng,
    ) -> Option<Result<EndpointSet, Arc<str>>> {
        self.pending = false;
        let answer = answer.and_then(|addresses| {
            let mut addresses = addresses.into_iter();
            let first = addresses.next().ok_or_else(|| "the name has no address".to_owned())?;
            Ok(EndpointAddresses::new(first, addresses))
        });
        match answer {
            Ok(addresses) => {
                self.resolution.on_answered(now);
                let changed = self.known.replace(addresses.clone()).is_none_or(|known| known != addresses);
                changed.then(|| self.endpoints()).flatten().map(Ok)
            }
            Err(error) => {
                tracing::warn!(host = %self.host, %error, "name resolution failed");
                self.resolution.on_failed(now, rng);
                self.known.is_none().then(|| Err(format!("resolve {}: {error}", self.host).into()))
            }
        }
    }

    /// LB-06: all addresses are one endpoint, in one locality without a name, of weight 1. `None`: not known yet.
    pub(super) fn endpoints(&self) -> Option<EndpointSet> {
        let addresses = self.known.clone()?;
        let hostname = format!("{}:{}", self.host, self.port).into();
        let endpoint = Endpoint { hostname, ..Endpoint::at(addresses) };
        let priority = Priority { localities: vec![Arc::new(Locality::of(vec![endpoint]))] };
        Some(EndpointSet { priorities: vec![priority], drops: Vec::new() })
    }
}

impl Drop for LogicalDns {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// Proves: LB-06, LB-71, LB-73.
    #[tokio::test(start_paused = true)]
    async fn all_addresses_are_one_endpoint_and_are_looked_up_again_at_most_every_interval() {
        let mut rng = StdRng::seed_from_u64(1);
        let start = Instant::now();
        let interval = Duration::from_secs(30);
        let mailbox: Arc<Mailbox<()>> = Arc::default();
        let mut dns = LogicalDns::new("shop.test".into(), 7, interval);
        let lookup = |dns: &mut LogicalDns, now, number| {
            dns.resolve(now, number, &Handle::current(), &mailbox);
            dns.is_lookup(number)
        };
        assert!(lookup(&mut dns, start, 1));
        assert!(dns.is_pending());

        let answer = addresses(&["10.0.0.1:7", "[::1]:7", "10.0.0.2:7"]);
        let set = dns.on_answer(start, Ok(answer.clone()), &mut rng).unwrap().unwrap();
        let [priority] = &set.priorities[..] else { panic!("one priority: {set:?}") };
        let [locality] = &priority.localities[..] else { panic!("one locality: {set:?}") };
        assert_eq!(locality.endpoints.len(), 1, "one endpoint: {set:?}");
        let endpoint = locality.endpoints.iter().next().unwrap();
        assert_eq!(
            (locality.id.to_string(), locality.weight.get()),
            (Locality::of(vec![]).id.to_string(), 1)
        );
        assert_eq!(endpoint.addresses.as_slice(), answer);
        assert_eq!(&*endpoint.hostname, "shop.test:7");

        // A failed connection requests another lookup, which waits for the interval.
        dns.request();
        assert!(!lookup(&mut dns, start + interval / 2, 2));
        assert_eq!(dns.next_deadline(), Some(start + interval));
        assert!(lookup(&mut dns, start + interval, 3));
        assert!(!dns.is_lookup(1), "an answer to it would be an old one");
        let same = dns.on_answer(start + interval, Ok(answer), &mut rng);
        assert!(same.is_none(), "the same addresses change nothing");

        // A failure leaves what is known in use.
        dns.request();
        assert!(lookup(&mut dns, start + interval * 2, 4));
        assert!(dns.on_answer(start + interval * 2, Err("no".to_owned()), &mut rng).is_none());
        assert!(dns.endpoints().is_some());
    }
}
