//! The parts of a run, one after the other.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rand::RngExt;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout_at};

use super::Arguments;
use super::client::Client;
use super::folder::{Folder, cluster, collection_prefix, namespace};
use super::report::{Changes, Connects, Report, Steady};
use super::tally::{Note, Tally};
use benches::server::Server;

/// Everything, in order.
pub(crate) async fn run(arguments: &Arguments) -> Result<Report> {
    let folder = Folder::write(arguments.services, arguments.endpoints, arguments.scopes)?;
    let server = Server::start(folder.path(), SocketAddr::from(([127, 0, 0, 1], 0)), "warn").await?;
    let address = server.xds();
    let (tally, notes) = Tally::new();
    let mut field = Field { arguments, tally, notes, tasks: JoinSet::new() };

    let began = Instant::now();
    field.start_clients(address);
    let first = field.until_settled(began).await.context("connecting")?;
    let changes = field.change(&folder, &server).await.context("changing endpoints")?;
    let (rss, peak) = server.memory()?;

    let steady = match arguments.steady {
        0 => None,
        seconds => {
            Some(field.steady(&folder, &server, seconds).await.context("changing endpoints all the time")?)
        }
    };

    server.kill().await?;
    let began = Instant::now();
    let server = Server::start(folder.path(), address, "warn").await?;
    let again = field.until_settled(began).await.context("reconnecting")?;
    let (rss_after, peak_after) = server.memory()?;
    field.tasks.shutdown().await;
    Ok(Report {
        clients: arguments.clients,
        services: arguments.services,
        endpoints: arguments.endpoints,
        subscribe: arguments.subscribe,
        protocol: match arguments {
            Arguments { collections: true, .. } => "delta with collections",
            Arguments { delta: true, .. } => "delta",
            _ => "SotW",
        },
        first,
        changes,
        scopes: arguments.scopes,
        steady,
        again,
        rss_mib: rss,
        peak_rss_mib: peak,
        rss_mib_after_reconnect: rss_after,
        peak_rss_mib_after_reconnect: peak_after,
        unreadable: field.tally.unreadable_so_far(),
    })
}

/// All clients and what they note.
struct Field<'a> {
    arguments: &'a Arguments,
    tally: Tally,
    notes: UnboundedReceiver<Note>,
    tasks: JoinSet<()>,
}

impl Field<'_> {
    fn start_clients(&mut self, server: SocketAddr) {
        for number in 0..self.arguments.clients {
            let services = services_of(number, self.arguments);
            let Arguments { delta, collections, .. } = *self.arguments;
            let scopes = self.arguments.scopes;
            let namespace = if scopes > 1 { namespace(number % scopes) } else { String::new() };
            let client =
                Client { number, namespace, services, delta, collections, server, tally: self.tally.clone() };
            self.tasks.spawn(client.run());
        }
    }

    /// Until every client has accepted something of every type.
    async fn until_settled(&mut self, began: Instant) -> Result<Connects> {
        let before = self.tally.bytes();
        let (mut connects, mut settled, mut last) = (Vec::new(), 0, began);
        while settled < self.arguments.clients {
            match self.next(SETTLE_TIMEOUT).await? {
                Note::Connected { at } => connects.push(at.saturating_duration_since(began)),
                Note::Settled { at } => (settled, last) = (settled + 1, last.max(at)),
                Note::Accepted { .. } => {}
            }
        }
        Ok(Connects {
            seconds: (last - began).as_secs_f64(),
            connects: connects.len(),
            busiest_bucket_share: busiest_share(&connects),
            bytes: self.tally.bytes() - before,
        })
    }

    /// Changes one endpoint after the other.
    async fn change(&mut self, folder: &Folder, server: &Server) -> Result<Changes> {
        let subscribers = subscribers(self.arguments);
        let wanted: Vec<u32> = subscribers.keys().copied().collect();
        let (mut latencies, mut reached) = (Vec::new(), 0);
        sleep(CALM).await;
        let (cpu, bytes) = (server.cpu()?, self.tally.bytes());
        for round in 0..self.arguments.changes {
            let service = wanted[(round as usize * 7919) % wanted.len()];
            // Out of step with whatever the server does in intervals.
            sleep(PAUSE + Duration::from_millis(rand::rng().random_range(0..100))).await;
            while self.notes.try_recv().is_ok() {}
            folder.change(service, round + 1)?;
            let renamed = Instant::now();
            let mut waiting: HashSet<u32> = subscribers[&service].iter().copied().collect();
            let (cluster, prefix) = (cluster(service), collection_prefix(service));
            let is_it = |name: &String| *name == cluster || name.starts_with(&prefix);
            let mut last = renamed;
            while !waiting.is_empty() {
                if let Note::Accepted { client, names, at } = self.next(CHANGE_TIMEOUT).await?
                    && names.iter().any(is_it)
                    && waiting.remove(&client)
                {
                    (last, reached) = (last.max(at), reached + 1);
                }
            }
            latencies.push(last - renamed);
        }
        let changes = self.arguments.changes;
        Ok(Changes {
            subscribers: f64::from(reached) / f64::from(changes),
            cpu_ms: (server.cpu()? - cpu).as_secs_f64() * 1e3 / f64::from(changes),
            bytes: (self.tally.bytes() - bytes) / u64::from(changes),
            ..Changes::of(latencies)
        })
    }

    /// Changes endpoints at a steady rate.
    async fn steady(&mut self, folder: &Folder, server: &Server, seconds: u32) -> Result<Steady> {
        let Arguments { rate, services, .. } = *self.arguments;
        self.tally.slow_down();
        let mut ticks = interval(Duration::from_secs(1) / rate);
        let (cpu, bytes, began) = (server.cpu()?, self.tally.bytes(), Instant::now());
        for change in 0..seconds * rate {
            ticks.tick().await;
            while self.notes.try_recv().is_ok() {}
            folder.change(change * 7919 % services, self.arguments.changes + 1 + change)?;
        }
        let took = began.elapsed();
        Ok(Steady {
            seconds: took.as_secs_f64(),
            changes: seconds * rate,
            cores: (server.cpu()? - cpu).as_secs_f64() / took.as_secs_f64(),
            bytes: self.tally.bytes() - bytes,
            overlaps: self.tally.overlaps(),
        })
    }

    async fn next(&mut self, patience: Duration) -> Result<Note> {
        match timeout_at((Instant::now() + patience).into(), self.notes.recv()).await {
            Ok(Some(note)) => Ok(note),
            Ok(None) => bail!("all clients have ended"),
            Err(_) => bail!("nothing has happened for {patience:?}"),
        }
    }
}

/// Which services a client wants: spread so that every service has about as many clients as any other.
fn services_of(client: u32, arguments: &Arguments) -> Vec<u32> {
    let first = u64::from(client) * u64::from(arguments.subscribe);
    let place = |index: u32| (first + u64::from(index)) % u64::from(arguments.services);
    (0..arguments.subscribe).filter_map(|index| u32::try_from(place(index)).ok()).collect()
}

fn subscribers(arguments: &Arguments) -> BTreeMap<u32, Vec<u32>> {
    let mut all: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for client in 0..arguments.clients {
        for service in services_of(client, arguments) {
            all.entry(service).or_default().push(client);
        }
    }
    all
}

/// The largest share of all connects in any 100 ms.
fn busiest_share(connects: &[Duration]) -> f64 {
    let mut buckets: BTreeMap<u128, u32> = BTreeMap::new();
    for connect in connects {
        *buckets.entry(connect.as_millis() / 100).or_default() += 1;
    }
    let busiest = buckets.values().copied().max().unwrap_or_default();
    f64::from(busiest) / f64::from(u32::try_from(connects.len()).unwrap_or(u32::MAX).max(1))
}

const CALM: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(150);
const SETTLE_TIMEOUT: Duration = Duration::from_secs(120);
const CHANGE_TIMEOUT: Duration = Duration::from_secs(30);
