//! The connections of a port: how many there may be, of all clients and of one, and which ones make room.
//!
//! A connection is idle until it is used. When there is no room for a new one, an idle one is closed for it, of the client
//! with the most: connections that do nothing keep no other client away.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The connections of a port. Clones share their state.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    table: Arc<Mutex<Table>>,
    limits: Limits,
}

/// How many connections there may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) most: usize,
    pub(super) most_of_client: usize,
}

/// A machine, as far as its address tells: an IPv6 client has a network of 64 bits for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Machine(IpAddr);

/// One connection; its room is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    connections: Connections,
    machine: Machine,
    key: AtomicU64,
    closing: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Table {
    last_key: u64,
    open: usize,
    machines: HashMap<Machine, OfMachine>,
}

/// The connections of one machine, by the order in which they became idle.
#[derive(Debug, Default)]
struct OfMachine {
    idle: BTreeMap<u64, Arc<Notify>>,
    busy: BTreeSet<u64>,
}

impl Machine {
    pub(super) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
            address => address,
        })
    }
}

impl Limits {
    /// A tenth of the room is for other clients than the one with the most.
    pub(super) fn shared(most: usize) -> Self {
        Self { most, most_of_client: share(most) }
    }
}

/// What one client may use of a limit, rounded up.
pub(super) fn share(most: usize) -> usize {
    most - most / 10
}

impl Connections {
    pub(super) fn new(limits: Limits) -> Self {
        Self { table: Arc::default(), limits }
    }

    /// A new connection, if there is room or an idle one can be closed for it.
    pub(super) fn enter(&self, address: IpAddr) -> Option<Place> {
        let machine = Machine::of(address);
        let mut table = self.lock();
        let of_machine = table.machines.get(&machine).map_or(0, OfMachine::len);
        if of_machine >= self.limits.most_of_client && !table.close_idle_of(machine) {
            return None;
        }
        if table.open >= self.limits.most && !table.close_idle() {
            return None;
        }
        let (key, closing) = (table.next_key(), Arc::new(Notify::new()));
        table.open += 1;
        table.machines.entry(machine).or_default().idle.insert(key, Arc::clone(&closing));
        drop(table);
        Some(Place { connections: self.clone(), machine, key: key.into(), closing })
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn next_key(&mut self) -> u64 {
        self.last_key += 1;
        self.last_key
    }

    /// Closes the connection that has been idle the longest, of the machine with the most idle ones.
    fn close_idle(&mut self) -> bool {
        let most = self.machines.iter().max_by_key(|(_, of_machine)| of_machine.idle.len());
        most.map(|(machine, _)| *machine).is_some_and(|machine| self.close_idle_of(machine))
    }

    fn close_idle_of(&mut self, machine: Machine) -> bool {
        let Some(of_machine) = self.machines.get_mut(&machine) else { return false };
        let Some((_, closing)) = of_machine.idle.pop_first() else { return false };
        closing.notify_one();
        self.forget_one(machine);
        true
    }

    fn leave(&mut self, machine: Machine, key: u64) {
        let Some(of_machine) = self.machines.get_mut(&machine) else { return };
        // One that was closed for another has given its room back already.
        if of_machine.idle.remove(&key).is_some() || of_machine.busy.remove(&key) {
            self.forget_one(machine);
        }
    }

    fn forget_one(&mut self, machine: Machine) {
        self.open -= 1;
        if self.machines.get(&machine).is_some_and(|of_machine| of_machine.len() == 0) {
            self.machines.remove(&machine);
        }
    }
}

impl OfMachine {
    fn len(&self) -> usize {
        self.idle.len() + self.busy.len()
    }
}

impl Place {
    /// The connection is used: it is not closed for others.
    pub(super) fn set_busy(&self) {
        let mut table = self.connections.lock();
        let key = self.key.load(Ordering::Relaxed);
        if let Some(of_machine) = table.machines.get_mut(&self.machine)
            && of_machine.idle.remove(&key).is_some()
        {
            of_machine.busy.insert(key);
        }
    }

    /// The connection is not used any more.
    pub(super) fn set_idle(&self) {
        let mut table = self.connections.lock();
        let (key, next) = (self.key.load(Ordering::Relaxed), table.next_key());
        if let Some(of_machine) = table.machines.get_mut(&self.machine)
            && of_machine.busy.remove(&key)
        {
            of_machine.idle.insert(next, Arc::clone(&self.closing));
            self.key.store(next, Ordering::Relaxed);
        }
    }

    /// Waits until the connection has to make room.
    pub(super) async fn closing(&self) {
        self.closing.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let key = self.key.load(Ordering::Relaxed);
        self.connections.lock().leave(self.machine, key);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures_util::FutureExt as _;

    use super::*;

    fn ip(last: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, last).into()
    }

    fn connections(most: usize, most_of_client: usize) -> Connections {
        Connections::new(Limits { most, most_of_client })
    }

    #[test]
    fn busy_connections_are_never_closed_for_others() {
        let connections = connections(2, 2);
        let places = [1, 2].map(|last| connections.enter(ip(last)).unwrap());
        places.iter().for_each(Place::set_busy);
        assert!(connections.enter(ip(3)).is_none());
        places[1].set_idle();
        let third = connections.enter(ip(3)).unwrap();
        assert!(places[1].closing().now_or_never().is_some());
        assert!(places[0].closing().now_or_never().is_none() && third.closing().now_or_never().is_none());
        drop(places);
        assert_eq!(connections.lock().open, 1, "the closed one is not counted twice");
        drop(third);
        assert!(connections.lock().machines.is_empty());
    }

    #[test]
    fn longest_idle_connection_of_the_greediest_client_makes_room() {
        let connections = connections(4, 4);
        let one = connections.enter(ip(1)).unwrap();
        let many: Vec<_> = (0..3).map(|_| connections.enter(ip(2)).unwrap()).collect();
        many[0].set_busy();
        many[0].set_idle();
        let _new = connections.enter(ip(3)).unwrap();
        let closed = |place: &Place| place.closing().now_or_never().is_some();
        assert_eq!(
            (closed(&one), many.iter().map(closed).collect::<Vec<_>>()),
            (false, vec![false, true, false])
        );
    }

    #[test]
    fn client_has_no_more_than_its_share() {
        let connections = Connections::new(Limits::shared(10));
        let places: Vec<_> = (0..9).map(|_| connections.enter(ip(1)).unwrap()).collect();
        places.iter().for_each(Place::set_busy);
        assert!(connections.enter(ip(1)).is_none());
        assert!(connections.enter(ip(2)).is_some());
        assert_eq!([1, 2, 4, 9, 10, 20_000].map(share), [1, 2, 4, 9, 9, 18_000]);
    }

    #[test]
    fn machines_of_ipv6_are_networks() {
        let machine = |text: &str| Machine::of(text.parse().unwrap());
        assert_eq!(machine("2001:db8::1"), machine("2001:db8::ffff:1"));
        assert_ne!(machine("2001:db8::1"), machine("2001:db8:0:1::1"));
        assert_eq!(machine("::ffff:10.0.0.1"), Machine::of(ip(1)));
        assert_ne!(Machine::of(ip(1)), Machine::of(ip(2)));
    }
}
