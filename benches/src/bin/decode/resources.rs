//! Large responses: from the bytes of resources to validated values.

use std::time::Duration;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use serde::Serialize;
use xds_client::resource::{AnyResource, ClusterType, DecodeContext, EndpointsType, ResourceType};

use super::wire;

/// What decoding one response costs; medians.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(super) what: &'static str,
    pub(super) resources: usize,
    pub(super) bytes: usize,
    pub(super) cpu_ms: f64,
    pub(super) mib_per_second: f64,
    pub(super) allocations: u64,
    /// What the values keep.
    pub(super) kept_bytes: usize,
    /// The most memory that the process has had so far.
    pub(super) peak_rss_mib: f64,
}

/// The responses that are decoded.
pub(crate) fn measure(rounds: u32) -> Result<Vec<Row>> {
    let one = vec![endpoints_of("cluster", ENDPOINTS)];
    let each = ENDPOINTS / CLUSTERS;
    let many: Vec<_> =
        (0..CLUSTERS).map(|number| endpoints_of(&format!("cluster-{number:05}"), each)).collect();
    let clusters: Vec<_> =
        (0..CLUSTERS).map(|number| wire::cluster(&format!("cluster-{number:05}")).into()).collect();
    Ok(vec![
        row("EDS, one cluster", &EndpointsType, &one, rounds)?,
        row("EDS, many clusters", &EndpointsType, &many, rounds)?,
        row("CDS", &ClusterType, &clusters, rounds)?,
    ])
}

fn endpoints_of(cluster: &str, count: u32) -> Bytes {
    wire::assignment(cluster, (0..count).map(|host| (host, 1 + host % 7))).into()
}

fn row(what: &'static str, kind: &dyn ResourceType, resources: &[Bytes], rounds: u32) -> Result<Row> {
    let bytes: usize = resources.iter().map(Bytes::len).sum();
    let mut times: Vec<Duration> = Vec::new();
    let (mut allocations, mut kept) = (0, 0);
    for _ in 0..=rounds {
        let (held, before, begun) = (benches::allocated_bytes(), benches::allocations(), benches::cpu_time());
        let values = resources.iter().map(|resource| decoded(kind, resource)).collect::<Result<Vec<_>>>()?;
        times.push(benches::cpu_time() - begun);
        (allocations, kept) = (benches::allocations() - before, benches::allocated_bytes() - held);
        drop(values);
    }
    // The first round warms caches and allocators up.
    times.remove(0);
    times.sort_unstable();
    let cpu = times[times.len() / 2].as_secs_f64();
    let mib_per_second = bytes as f64 / f64::from(1 << 20) / cpu;
    let resources = resources.len();
    let row = Row {
        what,
        resources,
        bytes,
        cpu_ms: cpu * 1e3,
        mib_per_second,
        allocations,
        kept_bytes: kept,
        peak_rss_mib: benches::peak_rss() as f64 / f64::from(1 << 20),
    };
    Ok(row)
}

fn decoded(kind: &dyn ResourceType, resource: &Bytes) -> Result<AnyResource> {
    let (_, value) = kind
        .decode(&DecodeContext::default(), None, resource)
        .map_err(|error| anyhow!("{error}: {}", error.reason))?;
    Ok(value)
}

/// As many as fill 20 MiB.
const ENDPOINTS: u32 = 640_000;
const CLUSTERS: u32 = 10_000;
