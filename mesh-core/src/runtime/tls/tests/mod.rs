//! Handshakes in memory, with rustls itself or this crate on the other side.

mod acceptor;
mod authority;
mod chains;
mod client;
mod connector;
mod peer_watch;
mod revocation;
mod system_roots;
mod trust_domains;

pub(in crate::runtime) use authority::{Authority, Leaf, valid};
pub(in crate::runtime) use client::{client, connect};

/// The time by which certificates are checked, which goes with the clock of the test's runtime.
pub(in crate::runtime) fn now() -> std::time::SystemTime {
    super::material::clock()
}
