use super::orca::OrcaReport;
use super::{ClusterCounts, ClusterSums, Ending, LocalityCounts, LocalitySums, MetricSum, MetricSums};
use crate::config::{LocalityId, Name, ReportedMetric};

fn locality(zone: &str) -> LocalityId {
    LocalityId { zone: zone.to_owned(), ..LocalityId::default() }
}

/// Proves: TR-66.
#[test]
fn counts_restart_with_every_report_and_gauge_stays() {
    let counts = ClusterCounts::default();
    let (a, b) = (counts.locality(&locality("a")), counts.locality(&locality("b")));
    let _idle = counts.locality(&locality("idle"));
    (0..5).for_each(|_| a.start());
    a.end(Ending::Success);
    a.end(Ending::Success);
    a.end(Ending::Failure);
    b.start();
    b.end(Ending::Failure);
    let sums = |issued, succeeded, failed, in_progress| LocalitySums {
        issued,
        succeeded,
        failed,
        in_progress,
        metrics: MetricSums::default(),
    };
    let expected = [(locality("a"), sums(5, 2, 1, 2)), (locality("b"), sums(1, 0, 1, 0))];
    assert_eq!(counts.take().unwrap().localities, expected.into());

    assert_eq!(counts.take().unwrap().localities, [(locality("a"), sums(0, 0, 0, 2))].into());
    a.end(Ending::Failure);
    a.end(Ending::Success);
    assert_eq!(counts.take().unwrap().localities, [(locality("a"), sums(0, 1, 1, 0))].into());
    assert_eq!(counts.take(), None);
}

/// Proves: TR-67.
#[test]
fn drops_have_a_category_and_those_of_the_circuit_breaker_only_the_total() {
    let counts = ClusterCounts::default();
    let [lb, throttle] = ["lb", "throttle"].map(Name::from);
    counts.drop_in(&lb);
    counts.drop_in(&throttle);
    counts.drop_in(&lb);
    counts.drop_over_limit();
    let expected =
        ClusterSums { drops: [(lb, 2), (throttle, 1)].into(), total_drops: 4, ..ClusterSums::default() };
    assert_eq!(counts.take(), Some(expected));
    assert_eq!(counts.take(), None);
    counts.drop_over_limit();
    assert_eq!(counts.take(), Some(ClusterSums { total_drops: 1, ..ClusterSums::default() }));
}

const QUEUE_AND_CPU: &[u8] = b"\x09\0\0\0\0\0\0\xe0\x3f\x11\0\0\0\0\0\0\xd0\x3f\x49\0\0\0\0\0\0\xf0\x3f\
    \x42\x0c\x0a\x01q\x11\0\0\0\0\0\0\x08\x40\x42\x0c\x0a\x01r\x11\0\0\0\0\0\0\xf0\x3f";
const QUEUE: &[u8] = b"\x42\x0c\x0a\x01q\x11\0\0\0\0\0\0\xf0\x3f";
const NOT_A_NUMBER: &[u8] = b"\x09\0\0\0\0\0\0\xf8\x7f";

/// Proves: TR-71, TR-72.
#[test]
fn metrics_that_the_control_plane_lists_are_added_up() {
    use ReportedMetric::{AllNamed, ApplicationUtilization, CpuUtilization, MemUtilization, Named};
    let sum = |count, sum| MetricSum { count, sum };
    let named = |list: &[(&str, MetricSum)]| list.iter().map(|(name, sum)| ((*name).into(), *sum)).collect();
    let none = MetricSums::default();
    let table = [
        ("nothing listed", vec![], none.clone()),
        ("cpu", vec![CpuUtilization], MetricSums { cpu_utilization: Some(sum(1, 0.5)), ..none.clone() }),
        ("memory", vec![MemUtilization], MetricSums { mem_utilization: Some(sum(1, 0.25)), ..none.clone() }),
        (
            "application",
            vec![ApplicationUtilization],
            MetricSums { application_utilization: Some(sum(1, 1.0)), ..none.clone() },
        ),
        (
            "one name",
            vec![Named("q".into())],
            MetricSums { named: named(&[("q", sum(2, 4.0))]), ..none.clone() },
        ),
        ("a name that never comes", vec![Named("z".into())], none.clone()),
        (
            "all names",
            vec![AllNamed],
            MetricSums { named: named(&[("q", sum(2, 4.0)), ("r", sum(1, 1.0))]), ..none },
        ),
    ];
    for (name, wanted, expected) in table {
        let counts = LocalityCounts::default();
        for message in [QUEUE_AND_CPU, QUEUE, NOT_A_NUMBER, b""] {
            counts.metrics.add(&OrcaReport::parse(message).unwrap(), &wanted);
        }
        let found = counts.take();
        assert_eq!(found.map(|sums| sums.metrics).unwrap_or_default(), expected, "{name}");
        assert_eq!(counts.take(), None, "{name}: every report starts anew");
    }
}

#[test]
fn named_metrics_of_a_locality_are_bounded() {
    let counts = LocalityCounts::default();
    for number in 0..2_000_u16 {
        let message = [
            &b"\x42\x0d\x0a\x02"[..],
            &[b'0' + (number / 50) as u8, b'0' + (number % 50) as u8],
            &QUEUE[5..],
        ];
        let message = message.concat();
        counts.metrics.add(&OrcaReport::parse(&message).unwrap(), &[ReportedMetric::AllNamed]);
    }
    assert_eq!(counts.take().unwrap().metrics.named.len(), 1_000);
}

/// Proves: TR-66.
#[test]
fn requests_that_end_on_another_thread_are_counted_once() {
    let counts = LocalityCounts::default();
    let on_each_thread = |work: &(dyn Fn(u64) + Sync)| {
        std::thread::scope(|scope| (0..4).for_each(|number| _ = scope.spawn(move || work(number))));
    };
    on_each_thread(&|_| (0..100).for_each(|_| counts.start()));
    let sent = LocalitySums { issued: 400, in_progress: 400, ..LocalitySums::default() };
    assert_eq!(counts.take(), Some(sent));
    on_each_thread(&|number| match number {
        0 => (0..100).for_each(|_| counts.withdraw()),
        1 => (0..100).for_each(|_| counts.end(Ending::Failure)),
        _ => (0..90).for_each(|_| counts.end(Ending::Success)),
    });
    let ended = LocalitySums { succeeded: 180, failed: 100, in_progress: 20, ..LocalitySums::default() };
    assert_eq!(counts.take(), Some(ended), "withdrawn requests are subtracted from later reports");
    (0..101).for_each(|_| counts.start());
    let later = LocalitySums { issued: 1, in_progress: 121, ..LocalitySums::default() };
    assert_eq!(counts.take(), Some(later));
}
