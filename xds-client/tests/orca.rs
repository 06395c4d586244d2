//! ORCA reports as protobuf writes them, against the reader that knows no protobuf.

use std::collections::BTreeMap;

use mesh_core::testing::OrcaReport;
use proptest::prelude::*;
use prost::Message;

/// `xds.data.orca.v3.OrcaLoadReport`.
#[derive(Clone, PartialEq, Message)]
struct OrcaLoadReport {
    #[prost(double, tag = "1")]
    cpu_utilization: f64,
    #[prost(double, tag = "2")]
    mem_utilization: f64,
    #[prost(uint64, tag = "3")]
    rps: u64,
    #[prost(btree_map = "string, double", tag = "4")]
    request_cost: BTreeMap<String, f64>,
    #[prost(btree_map = "string, double", tag = "5")]
    utilization: BTreeMap<String, f64>,
    #[prost(double, tag = "6")]
    rps_fractional: f64,
    #[prost(double, tag = "7")]
    eps: f64,
    #[prost(btree_map = "string, double", tag = "8")]
    named_metrics: BTreeMap<String, f64>,
    #[prost(double, tag = "9")]
    application_utilization: f64,
}

type Entries<'a> = Vec<(&'a str, f64)>;

/// Protobuf leaves zeros out.
fn zero_is_none(value: f64) -> Option<f64> {
    (value != 0.0).then_some(value)
}

fn entries(map: &BTreeMap<String, f64>) -> Entries<'_> {
    map.iter().map(|(name, value)| (name.as_str(), *value)).collect()
}

fn check(expected: &OrcaLoadReport, found: OrcaReport<'_>) {
    let scalars = [
        (expected.cpu_utilization, found.cpu_utilization),
        (expected.mem_utilization, found.mem_utilization),
        (expected.application_utilization, found.application_utilization),
        (expected.rps_fractional, found.requests_per_second),
        (expected.eps, found.errors_per_second),
    ];
    for (expected, found) in scalars {
        assert_eq!(zero_is_none(expected), found);
    }
    assert_eq!(entries(&expected.request_cost), found.request_cost().collect::<Entries<'_>>());
    assert_eq!(entries(&expected.utilization), found.utilization().collect::<Entries<'_>>());
    assert_eq!(entries(&expected.named_metrics), found.named_metrics().collect::<Entries<'_>>());
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        Just(1.0),
        -1e9..1e9,
        any::<f64>().prop_filter("comparable", |value| !value.is_nan())
    ]
}

fn map() -> impl Strategy<Value = BTreeMap<String, f64>> {
    prop::collection::btree_map(".{0,20}", number(), 0..5)
}

prop_compose! {
    fn report()(
        (cpu_utilization, mem_utilization, application_utilization) in (number(), number(), number()),
        (rps, rps_fractional, eps) in (any::<u64>(), number(), number()),
        (request_cost, utilization, named_metrics) in (map(), map(), map()),
    ) -> OrcaLoadReport {
        OrcaLoadReport {
            cpu_utilization, mem_utilization, rps, request_cost, utilization, rps_fractional, eps, named_metrics,
            application_utilization,
        }
    }
}

proptest! {
    #[test]
    fn report_written_by_protobuf_is_read(report in report()) {
        check(&report, OrcaReport::parse(&report.encode_to_vec()).unwrap());
    }

    /// Whatever protobuf does not take is not taken, and what both take is the same.
    #[test]
    fn report_refused_by_protobuf_is_refused(
        report in report(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        end in any::<prop::sample::Index>(),
    ) {
        let mut bytes = report.encode_to_vec();
        if bytes.is_empty() {
            return Ok(());
        }
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(end.index(bytes.len() + 1));
        match (OrcaLoadReport::decode(&bytes[..]), OrcaReport::parse(&bytes)) {
            (Err(_), found) => prop_assert!(found.is_none()),
            (Ok(expected), Some(found)) => {
                let last: BTreeMap<_, _> = found.named_metrics().collect();
                let named: BTreeMap<_, _> = expected.named_metrics.iter().map(|(name, value)| (&**name, value)).collect();
                prop_assert!(last.len() == named.len());
                for (name, value) in last {
                    prop_assert_eq!(named[name].to_bits(), value.to_bits());
                }
            }
            // groups, which no encoder writes
            (Ok(_), None) => {}
        }
    }
}
