//! Ejection by failures in a row.

use std::time::Duration;

use super::{CallResult, Cluster, FAILED, UNAVAILABLE, text};
use crate::config::{ConsecutiveEjection, OutlierDetection};
use crate::policy::outlier::FailureKind;

const WRONG: CallResult = CallResult::Failure(FailureKind::Request);
const UNREACHED: CallResult = CallResult::LocalOrigin;

fn after(threshold: u32) -> Option<ConsecutiveEjection> {
    Some(ConsecutiveEjection { threshold, ..ConsecutiveEjection::default() })
}

/// One kind of failures in a row, of which three are too many.
fn rule(kind: &str) -> OutlierDetection {
    let mut settings = OutlierDetection::off();
    settings.max_ejection_percent = 100;
    match kind {
        "5xx" => settings.consecutive_5xx = after(3),
        "gateway" => settings.consecutive_gateway_failures = after(3),
        _ => settings.local_origin.get_or_insert_default().consecutive_failures = after(3),
    }
    settings
}

/// Kind, results in order, and after which of them the endpoint is ejected.
type Row = (&'static str, &'static [CallResult], Option<usize>);

const ROWS: &[Row] = &[
    ("5xx", &[FAILED, FAILED, FAILED], Some(3)),
    ("5xx", &[FAILED, FAILED, CallResult::Success, FAILED, FAILED, FAILED], Some(6)),
    ("5xx", &[FAILED, UNAVAILABLE, FAILED], Some(3)),
    ("5xx", &[FAILED, FAILED, WRONG, FAILED, FAILED], None),
    ("5xx", &[WRONG, WRONG, WRONG, WRONG], None),
    ("5xx", &[UNREACHED, UNREACHED, UNREACHED], Some(3)),
    // C06, C07: attempts that the client refuses or cancels neither count nor end a row.
    ("5xx", &[CallResult::Neutral; 20], None),
    ("5xx", &[FAILED, CallResult::Neutral, FAILED, CallResult::Neutral, FAILED], Some(5)),
    ("gateway", &[UNAVAILABLE, UNAVAILABLE, UNAVAILABLE], Some(3)),
    ("gateway", &[UNAVAILABLE, UNAVAILABLE, FAILED, UNAVAILABLE, UNAVAILABLE], None),
    ("gateway", &[FAILED; 9], None),
    ("gateway", &[UNREACHED, UNREACHED, UNREACHED], Some(3)),
    ("local", &[UNREACHED, UNREACHED, UNREACHED], Some(3)),
    // An answer, even a bad one, says that the endpoint was reached.
    ("local", &[UNREACHED, UNREACHED, FAILED, UNREACHED, UNREACHED], None),
    ("local", &[FAILED; 9], None),
    ("local", &[CallResult::Neutral; 9], None),
];

/// Proves: LB-62.
#[test]
fn failures_in_a_row_eject_at_once() {
    for (kind, results, expected) in ROWS {
        let mut cluster = Cluster::new(2, &rule(kind));
        let ejected = results.iter().position(|result| cluster.record(0, *result).is_some());
        assert_eq!(ejected.map(|at| at + 1), *expected, "{kind}: {results:?}");
        assert_eq!(cluster.ejected(), expected.map(|_| vec![0]).unwrap_or_default());
    }
}

/// C05: three failures eject an endpoint, and after each return exactly three more do it again.
#[test]
fn failures_are_counted_from_zero_after_each_return() {
    for (kind, failure) in [("5xx", FAILED), ("gateway", UNAVAILABLE), ("local", UNREACHED)] {
        let mut settings = rule(kind);
        settings.interval = Duration::from_secs(1);
        settings.base_ejection_time = Duration::from_secs(5);
        settings.max_ejection_time = Duration::from_secs(5);
        let mut cluster = Cluster::new(2, &settings);
        for round in 0..50 {
            for failures in 1..=3 {
                assert!(cluster.ejected().is_empty(), "{kind}: {failures} of round {round}");
                cluster.record(0, failure);
            }
            assert_eq!(cluster.ejected(), [0], "{kind}: round {round}");
            // Calls that were sent before the ejection end after it, one before the return.
            for _ in 0..round % 7 {
                assert!(cluster.record(0, failure).is_none());
            }
            cluster.seconds_until_return(0);
        }
    }
}

/// An outlier that may not be ejected is found again after as many failures as before.
#[test]
fn failures_in_a_row_are_found_again_when_they_could_not_eject() {
    let mut settings = rule("5xx");
    settings.max_ejection_percent = 10;
    let mut cluster = Cluster::new(2, &settings);
    for _ in 0..9 {
        cluster.record(0, FAILED);
    }
    assert_eq!(cluster.counts(), [("consecutive_5xx", [0, 0, 3])]);
    settings.max_ejection_percent = 50;
    cluster.detector.configure(cluster.now, Some(&settings));
    cluster.record(0, FAILED);
    cluster.record(0, FAILED);
    assert!(cluster.ejected().is_empty());
    let change = cluster.record(0, FAILED).unwrap();
    assert_eq!(text(&change.state), "ejected by outlier detection: 3 server errors in a row");
}

/// C01, of what only Envoy has: the share after the ejection must fit. Of Envoy 1.40, the first always goes only where
/// `always_eject_one_host` is set; in Envoy PR 27624 it went in any case.
#[test]
fn ejection_by_failures_in_a_row_must_fit_the_limit() {
    for (limit, always_eject_one, expected) in [
        (10, false, 0),
        (50, false, 1),
        (67, false, 2),
        (100, false, 3),
        (10, true, 1),
        (50, true, 1),
        (67, true, 2),
        (0, true, 1),
    ] {
        let mut settings = rule("5xx");
        settings.max_ejection_percent = limit;
        settings.always_eject_one = always_eject_one;
        let mut cluster = Cluster::new(3, &settings);
        for id in [0, 1, 2, 0, 1, 2, 0, 1, 2] {
            cluster.record(id, FAILED);
        }
        assert_eq!(cluster.ejected().len(), expected, "{limit} %, {always_eject_one}");
    }
}

#[test]
fn unenforced_gateway_failures_count_as_server_errors() {
    let mut settings = rule("5xx");
    settings.consecutive_gateway_failures = Some(ConsecutiveEjection { threshold: 3, enforcing_percent: 0 });
    let mut cluster = Cluster::new(2, &settings);
    for _ in 0..3 {
        cluster.record(0, UNAVAILABLE);
    }
    assert_eq!(cluster.ejected(), [0]);
    let counts = cluster.counts();
    assert_eq!(counts, [("consecutive_5xx", [1, 0, 0]), ("consecutive_gateway_failure", [0, 1, 0])]);
}

#[test]
fn lower_threshold_counts_from_the_next_failure_on() {
    let mut settings = rule("5xx");
    settings.consecutive_5xx = after(10);
    let mut cluster = Cluster::new(2, &settings);
    for _ in 0..8 {
        cluster.record(0, FAILED);
    }
    settings.consecutive_5xx = after(3);
    cluster.detector.configure(cluster.now, Some(&settings));
    assert!(cluster.record(0, FAILED).is_some());
}

/// The runtime's event is late: the endpoint has left, and another one has its id.
#[test]
fn row_of_a_removed_endpoint_ejects_no_endpoint() {
    let mut cluster = Cluster::new(2, &rule("5xx"));
    let left = cluster.loads[0].clone();
    let is_reached = [FAILED; 3].map(|failure| left.outcomes.record(failure));
    assert_eq!(is_reached, [false, false, true]);
    cluster.loads[0] = Default::default();
    cluster.join(0);
    let late = cluster.detector.on_failures_in_a_row(
        cluster.now,
        crate::policy::lb::EndpointId(0),
        &mut cluster.rng,
    );
    assert!(late.is_none() && cluster.ejected().is_empty());
}
