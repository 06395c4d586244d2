//! How long ejections last, and what ends them.

use std::time::Duration;

use super::{CallResult, Cluster, FAILED, by_failure_percentage, text};
use crate::config::{ConsecutiveEjection, OutlierDetection};
use crate::policy::lb::{Connectivity, EndpointId};
use crate::policy::outlier::Unenforced;

const SECOND: Duration = Duration::from_secs(1);

impl Cluster {
    /// Lets an endpoint fail all of its calls until the next sweep.
    fn eject(&mut self, id: u32) {
        self.calls(id, 0, 50);
        self.sweep();
        assert!(self.ejected().contains(&id));
    }
}

/// Proves: LB-58.
#[test]
fn each_ejection_lasts_longer_up_to_the_maximum() {
    let mut settings = by_failure_percentage();
    settings.max_ejection_time = 95 * SECOND;
    let mut cluster = Cluster::new(5, &settings);
    let mut times = Vec::new();
    for _ in 0..5 {
        cluster.eject(0);
        let ejected = (cluster.now - cluster.start).as_secs();
        times.push(cluster.seconds_until_return(0) - ejected);
    }
    // 30, 60, 90, 95 and 95 s; it returns with the first sweep after that. The interval in which it fails again is too
    // short to make up for it.
    assert_eq!(times, [40, 70, 100, 100, 100]);
    let multiplier = |cluster: &mut Cluster| {
        cluster.eject(0);
        let multiplier = cluster.detector.ejected().next().unwrap().multiplier;
        cluster.seconds_until_return(0);
        multiplier
    };
    assert_eq!(multiplier(&mut cluster), 6);
    for _ in 0..4 {
        cluster.sweep();
    }
    assert_eq!(multiplier(&mut cluster), 3, "each good interval takes one off");
    for _ in 0..10 {
        cluster.sweep();
    }
    assert_eq!(multiplier(&mut cluster), 1);
}

#[test]
fn base_time_above_the_maximum_holds() {
    let mut settings = by_failure_percentage();
    settings.base_ejection_time = 50 * SECOND;
    settings.max_ejection_time = 20 * SECOND;
    let mut cluster = Cluster::new(5, &settings);
    cluster.eject(0);
    assert_eq!(cluster.seconds_until_return(0), 10 + 60);
}

#[test]
fn longest_times_do_not_overflow() {
    let mut settings = by_failure_percentage();
    settings.base_ejection_time = Duration::MAX;
    settings.max_ejection_time_jitter = Duration::MAX;
    let mut cluster = Cluster::new(5, &settings);
    cluster.eject(0);
    for _ in 0..100 {
        cluster.sweep();
    }
    assert_eq!(cluster.ejected(), [0]);
}

/// Proves: LB-62.
#[test]
fn jitter_spreads_the_returns() {
    let mut settings = by_failure_percentage();
    settings.interval = SECOND;
    settings.max_ejection_time_jitter = 20 * SECOND;
    let mut cluster = Cluster::new(100, &settings);
    (0..100).for_each(|id| cluster.calls(id, 0, 50));
    cluster.sweep();
    assert_eq!(cluster.ejected().len(), 100);
    let mut left = Vec::new();
    for _ in 0..55 {
        cluster.sweep();
        left.push(cluster.ejected().len());
    }
    assert_eq!(left[29], 100, "none returns before the time is over");
    assert!((20..=80).contains(&left[40]), "half of them after half of the jitter: {left:?}");
    assert_eq!(left[51], 0);
}

/// C08: only time ends an ejection here; a connection that fails, and comes back, does not.
///
/// Proves: LB-60.
#[test]
fn connection_events_never_end_an_ejection() {
    let mut cluster = Cluster::new(5, &by_failure_percentage());
    cluster.eject(0);
    let failure = "ejected by outlier detection: 100.0 % of its calls failed, allowed are 85 %";
    for state in [
        Connectivity::Idle,
        Connectivity::Connecting,
        Connectivity::TransientFailure("refused".into()),
        Connectivity::Ready,
        Connectivity::Connecting,
    ] {
        assert_eq!(text(&cluster.connection(0, state)), failure);
    }
    assert_eq!(text(&cluster.connection(1, Connectivity::Connecting)), "Connecting");
    for _ in 0..4 {
        let changes = cluster.sweep();
        match &changes[..] {
            [] => assert_eq!(cluster.ejected(), [0]),
            [returned] => {
                let real = (returned.id, text(&returned.state), returned.reason);
                assert_eq!(real, (EndpointId(0), "Connecting".to_owned(), None), "as its connection is now");
            }
            more => panic!("{more:?}"),
        }
    }
    assert!(cluster.ejected().is_empty());
    assert_eq!(text(&cluster.connection(0, Connectivity::Ready)), "Ready");
}

/// C09: an ejected endpoint that leaves makes room for another one.
#[test]
fn ejected_endpoint_that_has_left_does_not_count() {
    let mut settings = by_failure_percentage();
    settings.max_ejection_percent = 10;
    let mut cluster = Cluster::new(5, &settings);
    cluster.eject(0);
    cluster.calls(1, 0, 50);
    cluster.sweep();
    assert_eq!(cluster.ejected(), [0], "one of five is more than 10 %");
    // It leaves in the middle of an interval in which E2 fails.
    cluster.calls(1, 0, 25);
    cluster.detector.remove(EndpointId(0));
    cluster.detector.remove(EndpointId(0));
    assert!(cluster.ejected().is_empty());
    cluster.calls(1, 0, 25);
    cluster.sweep();
    assert_eq!(cluster.ejected(), [1]);
}

/// C10 a: what does not change who an endpoint is leaves it ejected. b: one that has left and returns starts anew.
///
/// Proves: LB-59.
#[test]
fn endpoint_that_is_added_again_starts_without_counts() {
    let mut settings = by_failure_percentage();
    settings.interval = SECOND;
    let mut cluster = Cluster::new(5, &settings);
    cluster.eject(0);
    cluster.pass(5 * SECOND);
    assert_eq!(cluster.ejected(), [0]);
    cluster.detector.remove(EndpointId(0));
    cluster.calls(0, 0, 50);
    cluster.pass(SECOND);
    cluster.join(0);
    cluster.detector.on_deadline(cluster.now, &mut cluster.rng);
    assert!(cluster.ejected().is_empty(), "nor do the calls count that end while it is away");
    assert_eq!(text(&cluster.connection(0, Connectivity::Connecting)), "Connecting");
    cluster.eject(0);
    let [ejected] = cluster.detector.ejected().collect::<Vec<_>>()[..] else { panic!("one") };
    assert_eq!(ejected.multiplier, 1, "it was never ejected before");
    // No growth over 1,000 rounds.
    for _ in 0..1_000 {
        cluster.detector.remove(EndpointId(0));
        cluster.join(0);
    }
    assert_eq!(cluster.detector.endpoints.len(), 5);
    assert_eq!((cluster.detector.population.endpoints, cluster.detector.population.ejected), (5, 0));
}

#[test]
fn changed_settings_keep_the_elapsed_interval() {
    let settings = by_failure_percentage();
    let mut cluster = Cluster::new(5, &settings);
    let deadline = |cluster: &Cluster| (cluster.detector.next_deadline().unwrap() - cluster.start).as_secs();
    assert_eq!(deadline(&cluster), 10);
    cluster.pass(4 * SECOND);
    for (interval, expected) in [(20, 20), (3, 3), (10, 10)] {
        let changed = OutlierDetection { interval: interval * SECOND, ..settings.clone() };
        assert!(cluster.detector.configure(cluster.now, Some(&changed)).is_empty());
        assert_eq!(deadline(&cluster), expected);
    }
    cluster.eject(0);
    let changed = OutlierDetection { max_ejection_percent: 20, ..settings };
    assert!(cluster.detector.configure(cluster.now, Some(&changed)).is_empty());
    assert_eq!((cluster.ejected(), deadline(&cluster)), (vec![0], 20));
}

/// Proves: LB-59.
#[test]
fn all_endpoints_return_when_detection_is_switched_off() {
    for off in [None, Some(OutlierDetection::off())] {
        let settings = by_failure_percentage();
        let mut cluster = Cluster::new(5, &settings);
        cluster.eject(0);
        cluster.eject(1);
        let changes = cluster.detector.configure(cluster.now, off.as_ref());
        let told: Vec<_> = changes.iter().map(|change| (change.id.0, text(&change.state))).collect();
        assert_eq!(told, [(0, "Ready".to_owned()), (1, "Ready".to_owned())]);
        assert_eq!((cluster.ejected(), cluster.detector.next_deadline()), (vec![], None));
        cluster.pass(100 * SECOND);
        cluster.detector.configure(cluster.now, Some(&settings));
        assert_eq!(cluster.detector.next_deadline(), Some(cluster.now + 10 * SECOND));
        cluster.eject(0);
        assert_eq!(cluster.detector.ejected().next().unwrap().multiplier, 1);
    }
}

#[test]
fn late_sweep_counts_once() {
    let mut cluster = Cluster::new(5, &by_failure_percentage());
    cluster.calls(0, 0, 50);
    cluster.pass(95 * SECOND);
    cluster.sweep();
    assert_eq!(cluster.detector.next_deadline(), Some(cluster.now + 10 * SECOND));
    assert!(cluster.detector.on_deadline(cluster.now, &mut cluster.rng).is_empty(), "not due");
    assert_eq!(cluster.ejected(), [0]);
}

#[test]
fn interval_of_zero_does_not_loop() {
    let settings = OutlierDetection { interval: Duration::ZERO, ..by_failure_percentage() };
    let cluster = Cluster::new(5, &settings);
    assert_eq!(cluster.detector.next_deadline(), Some(cluster.now + Duration::from_millis(1)));
}

/// An ejection by failures in a row ends with a sweep as well, and its time begins with the ejection.
#[test]
fn ejection_by_failures_in_a_row_ends_with_a_sweep() {
    let mut settings = OutlierDetection::off();
    settings.max_ejection_percent = 100;
    settings.consecutive_5xx = Some(ConsecutiveEjection::default());
    let mut cluster = Cluster::new(2, &settings);
    cluster.pass(4 * SECOND);
    for _ in 0..5 {
        cluster.record(0, FAILED);
    }
    assert_eq!(cluster.seconds_until_return(0), 40);
    cluster.record(0, CallResult::Success);
    assert!(cluster.ejected().is_empty());
}

#[test]
fn detector_that_is_dropped_leaves_no_active_ejection() {
    let mut cluster = Cluster::new(2, &by_failure_percentage());
    cluster.calls(0, 0, 100);
    cluster.sweep();
    assert_eq!(cluster.ejected(), [0]);
    let counts = cluster.detector.counts().clone();
    drop(cluster);
    assert_eq!(counts.active(), 0);
}

/// gRFC A91's names.
#[test]
fn reasons_for_not_ejecting_have_their_names_in_metrics() {
    let names = [Unenforced::EnforcementPercentage, Unenforced::MaxEjectionOverflow].map(Unenforced::name);
    assert_eq!(names, ["enforcement_percentage", "max_ejection_overflow"]);
}
