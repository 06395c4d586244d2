//! Handshakes in memory, with rustls itself or this crate on the other side.

mod acceptor;
mod authority;
mod chains;
mod client;
mod peer_watch;

pub(in crate::runtime) use authority::{Authority, Leaf, valid};
pub(in crate::runtime) use client::{client, connect};
