use std::time::{Duration, Instant};

use mesh_core::config::LocalityId;
use mesh_core::policy::load_report::{ClusterReport, ClusterSums, LocalitySums, MetricSum};
use rand::SeedableRng;
use rand::rngs::StdRng;
use xds_proto::envoy::service::load_stats::v3::LoadStatsResponse;
use xds_proto::google::protobuf::Duration as ProtoDuration;

use super::{Instructions, InvalidInstructions, LoadReportState, Request, Wanted, message};
use crate::bootstrap::Node;
use crate::protocol::BackoffSettings;

/// Proves: TR-65.
#[test]
fn interval_is_a_positive_duration() {
    let some = |seconds, nanos| Some(ProtoDuration { seconds, nanos });
    let table = [
        ("none", None, None),
        ("zero", some(0, 0), None),
        ("negative", some(-1, 0), None),
        ("negative nanoseconds", some(1, -1), None),
        ("too many nanoseconds", some(1, 1_000_000_000), None),
        ("a second and a half", some(1, 500_000_000), Some(Duration::from_millis(1500))),
        ("hardly any", some(0, 1), Some(Duration::from_millis(100))),
        ("the longest", some(i64::MAX, 999_999_999), Some(Duration::new(i64::MAX as u64, 999_999_999))),
    ];
    for (name, load_reporting_interval, expected) in table {
        let response = LoadStatsResponse { load_reporting_interval, ..LoadStatsResponse::default() };
        let found = Instructions::read(response).map(|instructions| instructions.interval);
        assert_eq!(found.as_ref().ok(), expected.as_ref(), "{name}");
        if let Err(error) = found {
            assert!(error.to_string().starts_with("load_reporting_interval of"), "{name}: {error}");
        }
    }
}

/// Proves: TR-65.
#[test]
fn server_names_clusters_or_wants_all() {
    let wanted = |clusters: &[&str], send_all_clusters| {
        let clusters = clusters.iter().map(ToString::to_string).collect();
        let load_reporting_interval = Some(ProtoDuration { seconds: 1, nanos: 0 });
        let response =
            LoadStatsResponse { clusters, send_all_clusters, load_reporting_interval, ..Default::default() };
        Instructions::read(response).unwrap().wanted
    };
    for (name, wanted, a, b) in [
        ("named", wanted(&["a"], false), true, false),
        ("all", wanted(&[], true), true, true),
        ("all, whatever is named", wanted(&["a"], true), true, true),
        ("nothing", wanted(&[], false), false, false),
    ] {
        assert_eq!((wanted.contains("a"), wanted.contains("b")), (a, b), "{name}");
    }
}

/// A state with a clock of its own.
struct Story {
    state: LoadReportState,
    now: Instant,
    rng: StdRng,
}

const SECOND: Duration = Duration::from_secs(1);

fn every(interval: Duration) -> Result<Instructions, InvalidInstructions> {
    Ok(Instructions { interval, wanted: Wanted::All })
}

fn invalid() -> Result<Instructions, InvalidInstructions> {
    Instructions::read(LoadStatsResponse::default())
}

impl Story {
    /// In use; nothing has been opened.
    fn begin() -> Self {
        let backoff = BackoffSettings { jitter: 0.0, ..BackoffSettings::default() };
        let state = LoadReportState::new(backoff);
        let mut story = Self { state, now: Instant::now(), rng: StdRng::seed_from_u64(65) };
        story.set_use(true);
        story
    }

    fn set_use(&mut self, in_use: bool) {
        self.state.set_use(self.now, in_use);
    }

    fn open(&mut self) -> &mut Self {
        assert!(self.state.should_open() && !self.state.wants_stream());
        self.state.on_opening();
        assert!(!self.state.should_open() && self.state.wants_stream());
        self.state.on_opened(self.now);
        self
    }

    /// A stream that reports every second.
    fn reporting() -> Self {
        let mut story = Self::begin();
        assert_eq!(story.open().requests(), [Request::Node]);
        story.respond(every(SECOND)).unwrap();
        story
    }

    fn respond(
        &mut self,
        response: Result<Instructions, InvalidInstructions>,
    ) -> Result<(), InvalidInstructions> {
        self.state.on_response(self.now, response, &mut self.rng)
    }

    fn end(&mut self) {
        self.state.on_ended(self.now, &mut self.rng);
    }

    fn requests(&mut self) -> Vec<Request> {
        let mut requests = Vec::new();
        while self.state.has_request() {
            requests.push(self.state.poll_request(self.now).unwrap());
        }
        assert_eq!(self.state.poll_request(self.now), None);
        requests
    }

    /// Lets time pass up to the next deadline; how long it took.
    fn wait(&mut self) -> Option<Duration> {
        let deadline = self.state.next_deadline()?;
        let waited = deadline.saturating_duration_since(self.now);
        self.state.on_deadline(deadline - Duration::from_nanos(1).min(waited));
        self.now = deadline.max(self.now);
        self.state.on_deadline(self.now);
        Some(waited)
    }

    /// How long until a stream is to be opened.
    fn until_open(&mut self) -> Duration {
        match self.state.should_open() {
            true => Duration::ZERO,
            false => {
                let waited = self.wait().unwrap();
                assert!(self.state.should_open());
                waited
            }
        }
    }
}

fn all() -> Request {
    Request::Load(Wanted::All)
}

/// Proves: TR-65.
#[test]
fn node_comes_first_and_reports_only_once_the_server_has_asked() {
    let mut story = Story::begin();
    assert_eq!(story.open().requests(), [Request::Node]);
    assert_eq!(
        (story.state.next_deadline(), story.requests()),
        (None, vec![]),
        "nothing before the response"
    );
    story.respond(every(SECOND * 5)).unwrap();
    assert_eq!(story.requests(), []);
    for _ in 0..3 {
        assert_eq!(story.wait(), Some(SECOND * 5));
        assert_eq!(story.requests(), [all()]);
    }
}

/// Proves: TR-65.
#[test]
fn response_that_comes_before_the_node_changes_no_order() {
    let mut story = Story::begin();
    story.open();
    story.respond(every(SECOND)).unwrap();
    assert_eq!(story.requests(), [Request::Node]);
    assert_eq!(story.wait(), Some(SECOND));
    assert_eq!(story.requests(), [all()]);
}

/// Proves: TR-66.
#[test]
fn unsent_reports_do_not_accumulate() {
    let mut story = Story::reporting();
    story.wait();
    story.now += SECOND * 10;
    assert_eq!(story.state.next_deadline(), None, "the report is due; there is no room for it yet");
    assert_eq!(story.requests(), [all()]);
    assert_eq!(story.wait(), Some(SECOND));
}

/// Proves: TR-65.
#[test]
fn later_responses_change_what_is_reported_and_how_often() {
    let mut story = Story::reporting();
    story.now += SECOND / 2;
    story.respond(every(SECOND)).unwrap();
    assert_eq!(story.wait(), Some(SECOND / 2), "the same again changes nothing");
    assert_eq!(story.requests(), [all()]);
    let wanted = Wanted::Clusters(["a".to_owned()].into());
    story.respond(Ok(Instructions { interval: SECOND * 3, wanted: wanted.clone() })).unwrap();
    assert_eq!(story.wait(), Some(SECOND * 3));
    assert_eq!(story.requests(), [Request::Load(wanted)]);
    story.respond(every(Duration::MAX)).unwrap();
    assert_eq!(story.state.next_deadline(), None, "beyond the end of time");
}

/// Proves: TR-65.
#[test]
fn invalid_interval_restarts_the_stream() {
    for mut story in [Story::reporting(), Story::begin()] {
        if story.state.should_open() {
            story.open().requests();
        }
        story.respond(invalid()).unwrap_err();
        assert!(!story.state.wants_stream(), "the stream is dropped");
        assert_eq!(story.until_open(), SECOND);
        assert_eq!(story.open().requests(), [Request::Node], "the node is said again");
        story.respond(invalid()).unwrap_err();
        assert_eq!(story.until_open(), SECOND.mul_f64(1.6));
    }
}

/// Proves: TR-68.
#[test]
fn failed_streams_are_reopened_with_ads_backoff() {
    let mut story = Story::begin();
    let mut waits = Vec::new();
    for round in 0..14 {
        story.state.on_opening();
        if round % 2 == 1 {
            story.state.on_opened(story.now);
            story.requests();
        }
        story.end();
        waits.push(story.until_open().as_secs_f64());
    }
    let expected = (0..14).map(|round| 1.6_f64.powi(round).min(120.0));
    assert!(waits.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-6), "{waits:?}");

    story.open().requests();
    story.respond(every(SECOND)).unwrap();
    story.now += SECOND / 4;
    story.end();
    assert_eq!(
        story.until_open(),
        SECOND * 3 / 4,
        "one that worked for a moment: not more than one a second"
    );
    story.open().requests();
    story.respond(every(SECOND)).unwrap();
    story.now += SECOND * 60;
    story.end();
    assert_eq!(story.until_open(), Duration::ZERO, "one that worked: at once");
    story.open();
    story.end();
    assert_eq!(story.until_open(), SECOND, "the waits begin anew");
}

/// Proves: TR-68.
#[test]
fn nothing_is_opened_while_nothing_reports() {
    let mut opening = Story::begin();
    opening.state.on_opening();
    let mut waiting = Story::begin();
    waiting.state.on_opening();
    waiting.end();
    let mut greeted = Story::begin();
    greeted.open().requests();
    let mut early = Story::begin();
    early.open().respond(every(SECOND)).unwrap();
    for (name, mut story) in [
        ("idle", Story::begin()),
        ("opening", opening),
        ("waiting", waiting),
        ("before instructions", greeted),
        ("before the node", early),
    ] {
        story.set_use(false);
        assert!(story.state.is_done() && !story.state.wants_stream(), "{name}");
        assert_eq!((story.state.next_deadline(), story.requests()), (None, vec![]), "{name}");
        story.set_use(true);
        assert_eq!(story.state.should_open(), name != "waiting", "{name}");
    }
}

/// Proves: TR-69.
#[test]
fn last_report_is_sent_when_use_ends() {
    let mut story = Story::reporting();
    story.set_use(false);
    assert!(!story.state.has_sent_all());
    assert_eq!(story.requests(), [all()]);
    assert!(story.state.has_sent_all() && story.state.wants_stream(), "the server is to take it");
    story.end();
    assert!(story.state.is_done());

    for sends in [false, true] {
        let mut story = Story::reporting();
        story.set_use(false);
        if sends {
            story.requests();
        }
        assert_eq!(story.wait(), Some(SECOND), "a server that does not take it is not waited for");
        assert!(story.state.is_done());
    }

    let mut story = Story::reporting();
    story.set_use(false);
    story.set_use(true);
    assert_eq!(story.requests(), [], "it goes on as if nothing had been");
    assert_eq!(story.wait(), Some(SECOND));
    assert_eq!(story.requests(), [all()]);

    let mut story = Story::reporting();
    story.set_use(false);
    story.requests();
    story.set_use(true);
    assert!(story.state.has_sent_all());
    story.end();
    assert!(story.state.should_open(), "and another stream follows at once");
}

/// Proves: TR-66, TR-67, TR-71, TR-72.
#[test]
fn report_says_what_was_counted() {
    let sum = |count, sum| MetricSum { count, sum };
    let mut busy = LocalitySums::default();
    (busy.issued, busy.succeeded, busy.failed, busy.in_progress) = (7, 4, 2, 1);
    busy.metrics.cpu_utilization = Some(sum(2, 1.5));
    busy.metrics.named = [("queue".into(), sum(3, 9.0))].into();
    let mut quiet = LocalitySums::default();
    quiet.issued = 1;
    let id = LocalityId { region: "r".into(), zone: "z".into(), sub_zone: "s".into() };
    let mut sums = ClusterSums::default();
    sums.localities = [(id, busy), (LocalityId::default(), quiet)].into();
    sums.drops = [("lb".into(), 2)].into();
    sums.total_drops = 5;
    let report = |service: &str| {
        let mut report = ClusterReport::new("c", service, Duration::from_millis(2500));
        report.sums = sums.clone();
        report
    };
    let request = message::load(vec![report("service"), report("c")]);
    assert_eq!(request.node, None);
    let [stats, own] = &request.cluster_stats[..] else { panic!("{request:?}") };
    assert_eq!((&*stats.cluster_name, &*stats.cluster_service_name), ("c", "service"));
    assert_eq!(own.cluster_service_name, "", "a cluster's own name is not said again");
    assert_eq!(stats.load_report_interval, Some(ProtoDuration { seconds: 2, nanos: 500_000_000 }));
    let drops: Vec<_> =
        stats.dropped_requests.iter().map(|drop| (&*drop.category, drop.dropped_count)).collect();
    assert_eq!((drops, stats.total_dropped_requests), (vec![("lb", 2)], 5));
    // localities are in order, and the empty one is the first
    let [empty, full] = &stats.upstream_locality_stats[..] else { panic!("{stats:?}") };
    assert_eq!((empty.locality.clone(), empty.total_issued_requests), (Some(Default::default()), 1));
    let place = full.locality.as_ref().unwrap();
    assert_eq!([&*place.region, &*place.zone, &*place.sub_zone], ["r", "z", "s"]);
    assert_eq!(
        [
            full.total_issued_requests,
            full.total_successful_requests,
            full.total_error_requests,
            full.total_requests_in_progress,
        ],
        [7, 4, 2, 1]
    );
    let cpu = full.cpu_utilization.as_ref().unwrap();
    assert_eq!((cpu.num_requests_finished_with_metric, cpu.total_metric_value), (2, 1.5));
    assert!(full.mem_utilization.is_none() && full.application_utilization.is_none());
    let [queue] = &full.load_metric_stats[..] else { panic!("{full:?}") };
    assert_eq!(
        (&*queue.metric_name, queue.num_requests_finished_with_metric, queue.total_metric_value),
        ("named_metrics.queue", 3, 9.0)
    );
}

/// Proves: BS-28, TR-65.
#[test]
fn first_request_has_the_node_of_load_reports_and_nothing_else() {
    let request = message::node(&Node::new("n1").to_load_report_proto());
    assert!(request.cluster_stats.is_empty());
    let node = request.node.unwrap();
    assert_eq!(node.id, "n1");
    assert!(node.client_features.iter().any(|feature| feature == "envoy.lrs.supports_send_all_clusters"));
}

/// Proves: TR-68.
#[test]
fn reporter_that_returns_during_backoff_waits_for_it() {
    let mut story = Story::begin();
    story.open().end();
    let wait = story.state.next_deadline().unwrap();
    for _ in 0..3 {
        story.set_use(false);
        assert!(story.state.is_done() && !story.state.wants_stream());
        story.set_use(true);
        assert!(!story.state.is_done() && !story.state.should_open());
        assert_eq!(story.state.next_deadline(), Some(wait));
    }
    story.set_use(false);
    story.now = wait + SECOND;
    story.set_use(true);
    story.state.on_deadline(story.now);
    assert!(story.state.should_open());
}

#[test]
fn invalid_instructions_are_an_error() {
    fn is_error<E: std::error::Error>() {}
    is_error::<InvalidInstructions>();
}
