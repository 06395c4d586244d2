//! Descriptors: the entries, each a key and a value, that rules make of a call. Limits are found by them.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::{HeaderMap, HeaderName};
use smallvec::SmallVec;

use crate::config::Name;
use crate::peer::Peer;
use crate::policy::matcher::{HeaderMatcher, HeaderView};

/// How a descriptor is made of a call: by each action one entry, in order.
// HF-42
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DescriptorRule {
    /// At least one.
    pub actions: Vec<DescriptorAction>,
    /// How many tokens a call takes from the limits of this descriptor; 1 by default.
    // HF-41
    pub cost: u32,
}

impl DescriptorRule {
    /// One token for each call.
    pub fn new(actions: impl IntoIterator<Item = DescriptorAction>) -> Self {
        Self { actions: actions.into_iter().collect(), cost: 1 }
    }
}

/// Makes one entry of a descriptor. An action that has nothing to say of a call drops the descriptor.
// HF-42
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum DescriptorAction {
    /// Always this entry.
    Fixed {
        /// The entry's key.
        key: Name,
        /// The entry's value.
        value: Name,
    },
    /// The first value of a header.
    Header {
        /// The header.
        name: HeaderName,
        /// The entry's key.
        key: Name,
        /// Without the header the descriptor goes on without this entry.
        skip_if_absent: bool,
    },
    /// A fixed entry for calls whose headers all match, or, unless `expect_match`, for those whose headers do not.
    HeaderMatch {
        /// The entry's key.
        key: Name,
        /// The entry's value.
        value: Name,
        /// The conditions.
        headers: Vec<HeaderMatcher>,
        /// Which calls get the entry.
        expect_match: bool,
    },
    /// The cluster that takes the call, under the key `destination_cluster`. On a server there is none.
    DestinationCluster,
    /// The client's address, under the key `remote_address`. Only a server knows it.
    RemoteAddress,
    /// The client's network, under the key `masked_remote_address`, as `192.0.2.0/24`. Only a server knows it.
    MaskedRemoteAddress {
        /// The length of an IPv4 network's prefix, at most 32.
        v4: u8,
        /// The length of an IPv6 network's prefix, at most 128.
        v6: u8,
    },
    /// The first URI in the client's certificate, as a rule its SPIFFE id. Only a server knows it.
    PeerUri {
        /// The entry's key.
        key: Name,
        /// For a client without one the descriptor goes on without this entry.
        skip_if_absent: bool,
    },
}

/// What a call shows to descriptor rules.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallView<'a> {
    pub(crate) headers: &'a HeaderMap,
    pub(crate) cluster: &'a str,
    /// The client, on a server.
    pub(crate) peer: Option<&'a Peer>,
}

/// A descriptor of one call.
pub(super) type Descriptor<'a> = SmallVec<[(&'a str, Cow<'a, [u8]>); 4]>;

impl DescriptorRule {
    /// The descriptor of a call; `None`: an action had nothing to say.
    pub(super) fn describe<'a>(&'a self, call: CallView<'a>) -> Option<Descriptor<'a>> {
        let mut descriptor = Descriptor::new();
        for action in &self.actions {
            match action.entry(call) {
                Entry::Made(key, value) => descriptor.push((key, value)),
                Entry::Skipped => {}
                Entry::Missing => return None,
            }
        }
        (!descriptor.is_empty()).then_some(descriptor)
    }
}

enum Entry<'a> {
    Made(&'a str, Cow<'a, [u8]>),
    Skipped,
    Missing,
}

impl DescriptorAction {
    fn entry<'a>(&'a self, call: CallView<'a>) -> Entry<'a> {
        match self {
            Self::Fixed { key, value } => Entry::Made(key, value.as_bytes().into()),
            Self::Header { name, key, skip_if_absent } => match call.headers.get(name) {
                Some(value) => Entry::Made(key, value.as_bytes().into()),
                None if *skip_if_absent => Entry::Skipped,
                None => Entry::Missing,
            },
            Self::HeaderMatch { key, value, headers, expect_match } => {
                let view = HeaderView::Grpc(call.headers);
                match headers.iter().all(|header| header.matches(view)) == *expect_match {
                    true => Entry::Made(key, value.as_bytes().into()),
                    false => Entry::Missing,
                }
            }
            Self::DestinationCluster if call.cluster.is_empty() => Entry::Missing,
            Self::DestinationCluster => Entry::Made("destination_cluster", call.cluster.as_bytes().into()),
            Self::RemoteAddress => of_peer("remote_address", call, |peer| peer.remote.ip().to_string()),
            Self::MaskedRemoteAddress { v4, v6 } => {
                of_peer("masked_remote_address", call, |peer| network(peer.remote.ip(), *v4, *v6))
            }
            Self::PeerUri { key, skip_if_absent } => {
                let identity = call.peer.and_then(Peer::identity);
                match identity.and_then(|identity| identity.uri_sans.first()) {
                    Some(uri) => Entry::Made(key, uri.as_bytes().into()),
                    None if *skip_if_absent => Entry::Skipped,
                    None => Entry::Missing,
                }
            }
        }
    }
}

fn of_peer<'a>(key: &'a str, call: CallView<'a>, value: impl FnOnce(&Peer) -> String) -> Entry<'a> {
    match call.peer {
        Some(peer) => Entry::Made(key, value(peer).into_bytes().into()),
        None => Entry::Missing,
    }
}

/// The network of an address, with the length of its prefix.
fn network(address: IpAddr, v4: u8, v6: u8) -> String {
    match address {
        IpAddr::V4(address) => {
            let host_bits = 32 - u32::from(v4.min(32));
            let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
            format!("{}/{v4}", Ipv4Addr::from(u32::from(address) & mask))
        }
        IpAddr::V6(address) => {
            let host_bits = 128 - u32::from(v6.min(128));
            let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
            format!("{}/{v6}", Ipv6Addr::from(u128::from(address) & mask))
        }
    }
}
