//! Rows for each rule, and a comparison with an evaluator that expands every product.

use std::collections::BTreeMap;
use std::net::IpAddr;

use proptest::prelude::*;

use super::{ConnectionFacts, Spoken, select};
use crate::config::{ChainMatch, IpPrefix, SourceType, TransportProtocol};

fn prefix(text: &str) -> IpPrefix {
    let (address, length) = text.split_once('/').unwrap();
    IpPrefix::new(address.parse().unwrap(), length.parse().unwrap())
}

fn chain(change: impl FnOnce(&mut ChainMatch)) -> ChainMatch {
    let mut chain = ChainMatch::default();
    change(&mut chain);
    chain
}

fn to(destinations: &[&str]) -> ChainMatch {
    chain(|chain| chain.destinations = destinations.iter().map(|text| prefix(text)).collect())
}

fn from(sources: &[&str]) -> ChainMatch {
    chain(|chain| chain.sources = sources.iter().map(|text| prefix(text)).collect())
}

fn of_type(source_type: SourceType) -> ChainMatch {
    chain(|chain| chain.source_type = source_type)
}

fn speaking(protocol: TransportProtocol) -> ChainMatch {
    chain(|chain| chain.transport_protocol = protocol)
}

/// From `source` to `local`, at a server that is bound to every address and does not look at first bytes.
fn facts(source: &str, local: &str) -> ConnectionFacts {
    let local: IpAddr = local.parse().unwrap();
    ConnectionFacts { destination: Some(local), local, source: source.parse().unwrap(), first_bytes: None }
}

#[track_caller]
fn check(rows: &[(&str, &[ChainMatch], ConnectionFacts, Option<usize>)]) {
    for (what, chains, connection, expected) in rows {
        assert_eq!(select(*chains, connection), *expected, "{what}");
        assert_eq!(naive(chains, connection), *expected, "{what}, by expansion");
    }
}

/// Proves: SV-12, SV-17.
#[test]
fn chain_with_an_unsupported_criterion_never_matches() {
    let never = [
        chain(|chain| chain.destination_port = Some(8080)),
        chain(|chain| chain.server_names = vec!["a.example".into()]),
        chain(|chain| chain.application_protocols = vec!["h2".into()]),
        speaking(TransportProtocol::Other("alts".into())),
    ];
    check(&[
        ("nothing", &[], facts("10.0.0.1:9", "10.0.0.2"), None),
        ("never", &never, facts("10.0.0.1:9", "10.0.0.2"), None),
        ("not looked at", &[speaking(TransportProtocol::Tls)], facts("10.0.0.1:9", "10.0.0.2"), None),
    ]);
}

/// Proves: SV-13.
#[test]
fn longest_destination_prefix_wins_at_a_wildcard_address() {
    let chains = [to(&[]), to(&["0.0.0.0/0"]), to(&["10.0.0.0/8", "10.2.0.0/16"]), to(&["10.1.0.0/16"])];
    let bound = |local| ConnectionFacts { destination: None, ..facts("10.0.0.1:9", local) };
    check(&[
        ("longest", &chains, facts("10.0.0.1:9", "10.1.2.3"), Some(3)),
        ("second of a list", &chains, facts("10.0.0.1:9", "10.2.2.3"), Some(2)),
        ("shorter", &chains, facts("10.0.0.1:9", "10.9.2.3"), Some(2)),
        ("/0 beats none", &chains, facts("10.0.0.1:9", "192.0.2.1"), Some(1)),
        ("another family", &chains, facts("[fd00::1]:9", "fd00::2"), Some(0)),
        ("mapped", &chains, facts("[::ffff:10.0.0.1]:9", "::ffff:10.1.2.3"), Some(3)),
        ("bound to one address", &chains, bound("10.1.2.3"), Some(0)),
    ]);
}

/// Proves: SV-14.
#[test]
fn raw_buffer_beats_unspecified_transport_protocol() {
    let chains = [to(&[]), speaking(TransportProtocol::RawBuffer)];
    let narrower = [to(&["10.0.0.0/8"]), speaking(TransportProtocol::RawBuffer)];
    let looked = |spoken| ConnectionFacts { first_bytes: Some(spoken), ..facts("10.0.0.1:9", "10.0.0.2") };
    let both = [speaking(TransportProtocol::RawBuffer), speaking(TransportProtocol::Tls)];
    check(&[
        ("raw", &chains, facts("10.0.0.1:9", "10.0.0.2"), Some(1)),
        ("a longer prefix was decided before", &narrower, facts("10.0.0.1:9", "10.0.0.2"), Some(0)),
        ("plaintext", &both, looked(Spoken::Plaintext), Some(0)),
        ("TLS", &both, looked(Spoken::Tls), Some(1)),
        ("TLS is not raw", &chains, looked(Spoken::Tls), Some(0)),
    ]);
}

/// Proves: SV-15.
#[test]
fn specific_source_type_excludes_any_for_good() {
    let types = [SourceType::Any, SourceType::SameIpOrLoopback, SourceType::External].map(of_type);
    let mut stuck = types.clone();
    stuck[1].sources = vec![prefix("192.0.2.0/24")];
    check(&[
        ("loopback", &types, facts("127.0.0.1:9", "10.0.0.2"), Some(1)),
        ("mapped loopback", &types, facts("[::ffff:127.0.0.1]:9", "10.0.0.2"), Some(1)),
        ("same address", &types, facts("10.0.0.2:9", "10.0.0.2"), Some(1)),
        ("same address, mapped", &types, facts("10.0.0.2:9", "::ffff:10.0.0.2"), Some(1)),
        ("another", &types, facts("10.0.0.1:9", "10.0.0.2"), Some(2)),
        ("any", &types[..2], facts("10.0.0.1:9", "10.0.0.2"), Some(0)),
        ("any is not tried again", &stuck, facts("127.0.0.1:9", "10.0.0.2"), None),
    ]);
}

/// Proves: SV-16.
#[test]
fn longest_source_prefix_then_exact_port_wins() {
    let mut with_port = from(&["10.0.0.0/8"]);
    with_port.source_ports = vec![7, 9];
    let chains = [from(&[]), from(&["10.0.0.0/8"]), with_port, from(&["10.1.0.0/16", "fd00::/8"])];
    check(&[
        ("longest", &chains, facts("10.1.0.1:9", "10.0.0.2"), Some(3)),
        ("port", &chains, facts("10.0.0.1:9", "10.0.0.2"), Some(2)),
        ("no port", &chains, facts("10.0.0.1:8", "10.0.0.2"), Some(1)),
        ("mapped", &chains, facts("[::ffff:10.1.0.1]:8", "10.0.0.2"), Some(3)),
        ("IPv6", &chains, facts("[fd00::1]:8", "fd00::2"), Some(3)),
        ("none", &chains, facts("192.0.2.1:8", "10.0.0.2"), Some(0)),
    ]);
}

/// Two values that the lists of two chains may share.
#[test]
fn chains_with_a_common_element_overlap() {
    let rows = [
        (ChainMatch::default(), ChainMatch::default(), true),
        (to(&["10.0.0.0/8"]), to(&["10.1.1.1/8"]), true),
        (to(&["10.0.0.0/8", "10.1.0.0/16"]), to(&["10.1.0.0/16"]), true),
        (to(&["0.0.0.0/0"]), to(&[]), false),
        (to(&["::ffff:10.0.0.0/104"]), to(&["10.0.0.0/8"]), true),
        (from(&["10.0.0.0/8"]), to(&["10.0.0.0/8"]), false),
        (of_type(SourceType::External), of_type(SourceType::Any), false),
    ];
    for (left, right, expected) in rows {
        assert_eq!(left.overlaps(&right), expected, "{left:?} {right:?}");
        assert_eq!(right.overlaps(&left), expected, "{right:?} {left:?}");
    }
}

/// Nested maps over every element of every product, as gRPC builds them.
fn naive(chains: &[ChainMatch], connection: &ConnectionFacts) -> Option<usize> {
    let none_or = |prefixes: &[IpPrefix]| match prefixes {
        [] => vec![None],
        prefixes => prefixes.iter().copied().map(Some).collect(),
    };
    let rank = |prefix: Option<IpPrefix>, address: IpAddr| match prefix {
        None => Some(0),
        Some(prefix) => prefix.contains(address).then(|| i32::from(prefix.length()) + 1),
    };
    // The most specific first, by the steps in order: a map whose first key that matches is followed at each level.
    let mut tree: BTreeMap<[i32; 5], Vec<(usize, bool)>> = BTreeMap::new();
    for (position, chain) in chains.iter().enumerate().filter(|(_, chain)| chain.can_match()) {
        for destination in none_or(&chain.destinations) {
            for source in none_or(&chain.sources) {
                let ports: Vec<Option<u32>> = match &*chain.source_ports {
                    [] => vec![None],
                    ports => ports.iter().copied().map(Some).collect(),
                };
                for port in ports {
                    let ranks = [
                        connection.destination.map_or(Some(0), |address| rank(destination, address)),
                        super::transport_protocol(chain, connection).map(i32::from),
                        super::source_type(chain, connection).map(i32::from),
                        rank(source, connection.source.ip()),
                        match port {
                            None => Some(0),
                            Some(port) => (port == u32::from(connection.source.port())).then_some(1),
                        },
                    ];
                    let key = ranks.map(|rank| rank.unwrap_or(-1));
                    tree.entry(key).or_default().push((position, !key.contains(&-1)));
                }
            }
        }
    }
    let mut prefix: Vec<i32> = Vec::new();
    for step in 0..5 {
        let best = tree.keys().filter(|key| key.starts_with(&prefix)).map(|key| key[step]).max()?;
        if best < 0 {
            return None;
        }
        prefix.push(best);
    }
    let found = tree.iter().filter(|(key, _)| key.starts_with(&prefix)).flat_map(|(_, found)| found);
    found.filter(|(_, matches)| *matches).map(|(position, _)| *position).min()
}

fn prefixes() -> impl Strategy<Value = Vec<IpPrefix>> {
    let texts = ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "127.0.0.0/8", "::/0", "fd00::/8"];
    proptest::collection::vec(proptest::sample::select(texts.to_vec()).prop_map(prefix), 0..3)
}

fn any_chain() -> impl Strategy<Value = ChainMatch> {
    let protocols = [
        TransportProtocol::Any,
        TransportProtocol::RawBuffer,
        TransportProtocol::Tls,
        TransportProtocol::Other("alts".into()),
    ];
    let types = [SourceType::Any, SourceType::SameIpOrLoopback, SourceType::External];
    let ports = proptest::collection::vec(7..10u32, 0..3);
    (
        prefixes(),
        proptest::sample::select(protocols.to_vec()),
        proptest::sample::select(types.to_vec()),
        prefixes(),
        ports,
    )
        .prop_map(|(destinations, protocol, source_type, sources, ports)| {
            chain(|chain| {
                chain.destinations = destinations;
                chain.transport_protocol = protocol;
                chain.source_type = source_type;
                chain.sources = sources;
                chain.source_ports = ports;
            })
        })
}

fn any_connection() -> impl Strategy<Value = ConnectionFacts> {
    let addresses =
        ["10.1.2.3", "10.1.9.9", "10.9.9.9", "127.0.0.1", "192.0.2.1", "fd00::1", "::ffff:10.1.2.3"];
    let address =
        || proptest::sample::select(addresses.to_vec()).prop_map(|text| text.parse::<IpAddr>().unwrap());
    let spoken = proptest::sample::select(vec![None, Some(Spoken::Tls), Some(Spoken::Plaintext)]);
    (address(), address(), 7..11u16, spoken, any::<bool>()).prop_map(
        |(local, source, port, first_bytes, is_wildcard)| ConnectionFacts {
            destination: is_wildcard.then_some(local),
            local,
            source: (source, port).into(),
            first_bytes,
        },
    )
}

proptest! {
    /// Proves: SV-11.
    #[test]
    fn steps_equal_a_walk_through_all_expanded_chains(
        chains in proptest::collection::vec(any_chain(), 0..8),
        connection in any_connection(),
    ) {
        prop_assert_eq!(select(&chains, &connection), naive(&chains, &connection));
    }
}
