//! Resources that are changed at random, one to four fields each: what is accepted, gRPC accepts as well.
//!
//! Calls can fail under a configuration that is valid: a route to a cluster of another name, a domain or path that no
//! call has, an address where nothing listens, an endpoint that is said to be unhealthy, a locality without weight, a
//! drop of 100 %, a limit of 0 requests, a method that is matched by another expression. To refuse those would be wrong:
//! the control plane may mean them. So the question is not whether calls fail, but whether gRPC's own validation would
//! have refused the resource. [`grpc`] is that validation written a second time.

mod grpc;
mod wire;

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use mesh_core::certificate::CertificateSource;
use prost::Message;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use xds_client::resource::{
    CertificateProviders, ClusterType, DecodeContext, EndpointsType, ListenerType, ResourceType,
    RouteConfigurationType,
};
use xds_proto::envoy::config::cluster::v3::Cluster;
use xds_proto::envoy::config::endpoint::v3::ClusterLoadAssignment;
use xds_proto::envoy::config::listener::v3::Listener;
use xds_proto::envoy::config::route::v3::RouteConfiguration;

/// What gRPC refuses and this client accepts, on purpose.
const ACCEPTED_ALL_THE_SAME: &[(&str, &str)] = &[
    // RDS-08: as in Envoy, where it means that the header is there.
    ("route", "header matcher without specifier"),
    ("listener", "header matcher without specifier"),
];

/// The same changes in every run; `MUTATION_SEED` tries others.
const SEED: u64 = 14_379_093_959_610_590_331;

/// How many changed resources of each type are looked at.
const ROUNDS: usize = 6_000;

type Opinion = fn(&[u8]) -> Option<grpc::Verdict>;

/// A type, its samples in the fuzz corpus, and gRPC's opinion of its messages; `None` for bytes that are none.
const TYPES: [(&str, &dyn ResourceType, Opinion); 4] = [
    ("route", &RouteConfigurationType, |bytes| {
        RouteConfiguration::decode(bytes).ok().map(|message| grpc::route::verdict(&message))
    }),
    ("cluster", &ClusterType, |bytes| {
        Cluster::decode(bytes).ok().map(|message| grpc::cluster::verdict(&message))
    }),
    ("endpoints", &EndpointsType, |bytes| {
        ClusterLoadAssignment::decode(bytes).ok().map(|message| grpc::endpoints::verdict(&message))
    }),
    ("listener", &ListenerType, |bytes| {
        Listener::decode(bytes).ok().map(|message| grpc::listener::verdict(&message))
    }),
];

/// The valid resources of the fuzz corpus, by name.
fn samples(target: &str) -> io::Result<Vec<(String, wire::Message)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut samples = Vec::new();
    for file in fs::read_dir(folder)? {
        let file = file?;
        let name = file.file_name().to_string_lossy().into_owned();
        if name.starts_with("valid-") {
            let message = wire::Message::parse(&fs::read(file.path())?);
            samples.push((name, message.expect("a valid resource is a message")));
        }
    }
    samples.sort_by(|(one, _), (other, _)| one.cmp(other));
    assert!(!samples.is_empty(), "{target}");
    Ok(samples)
}

fn context() -> DecodeContext {
    let mut context = DecodeContext::default();
    context.trusted_server = true;
    context.certificate_providers =
        ["roots", "identity"].into_iter().fold(CertificateProviders::default(), |all, name| {
            all.with(name, CertificateSource::missing(name, "nothing connects"))
        });
    context.incremental = true;
    context
}

#[test]
fn changed_resources_that_are_accepted_are_valid_for_grpc_too() {
    let seed = std::env::var("MUTATION_SEED").map_or(SEED, |seed| seed.parse().unwrap());
    println!("MUTATION_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let context = context();
    let mut wrong: BTreeMap<(&str, &str), (usize, String)> = BTreeMap::new();
    for (target, resource_type, opinion) in TYPES {
        let samples = samples(target).unwrap();
        let (mut accepted, mut refused) = (0, 0);
        for round in 0..ROUNDS {
            let (sample, message) = &samples[round % samples.len()];
            let mut message = message.clone();
            for _ in 0..rng.random_range(1..=4) {
                message.mutate(&mut rng);
            }
            let bytes = message.encode();
            let Some(verdict) = opinion(&bytes) else { continue };
            let own = resource_type.decode(&context, None, &bytes.clone().into());
            match own {
                Ok(_) => accepted += 1,
                Err(_) => refused += 1,
            }
            if let (Ok(_), Err(refusal)) = (&own, verdict)
                && !ACCEPTED_ALL_THE_SAME.contains(&(target, refusal))
            {
                let known = wrong.entry((target, refusal)).or_insert_with(|| (0, String::new()));
                known.0 += 1;
                known.1 = format!("{sample}: {}", hex(&bytes));
            }
        }
        println!("{target}: {accepted} accepted, {refused} refused");
        assert!(accepted > ROUNDS / 10 && refused > ROUNDS / 10, "{target}: {accepted} and {refused}");
    }
    assert!(wrong.is_empty(), "gRPC refuses, with seed {seed}: {wrong:#?}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
