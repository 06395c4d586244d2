//! When a stream is open, and what is sent on it.

mod messages;

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

/// A state with a clock of its own.
struct Fixture {
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

impl Fixture {
    /// In use; nothing has been opened.
    fn begin() -> Self {
        let backoff = BackoffSettings { jitter: 0.0, ..BackoffSettings::default() };
        let state = LoadReportState::new(backoff);
        let mut fixture = Self { state, now: Instant::now(), rng: StdRng::seed_from_u64(65) };
        fixture.set_use(true);
        fixture
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
        let mut fixture = Self::begin();
        assert_eq!(fixture.open().requests(), [Request::Node]);
        fixture.respond(every(SECOND)).unwrap();
        fixture
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
    let mut fixture = Fixture::begin();
    assert_eq!(fixture.open().requests(), [Request::Node]);
    assert_eq!(
        (fixture.state.next_deadline(), fixture.requests()),
        (None, vec![]),
        "nothing before the response"
    );
    fixture.respond(every(SECOND * 5)).unwrap();
    assert_eq!(fixture.requests(), []);
    for _ in 0..3 {
        assert_eq!(fixture.wait(), Some(SECOND * 5));
        assert_eq!(fixture.requests(), [all()]);
    }
}

/// Proves: TR-65.
#[test]
fn response_that_comes_before_the_node_changes_no_order() {
    let mut fixture = Fixture::begin();
    fixture.open();
    fixture.respond(every(SECOND)).unwrap();
    assert_eq!(fixture.requests(), [Request::Node]);
    assert_eq!(fixture.wait(), Some(SECOND));
    assert_eq!(fixture.requests(), [all()]);
}

/// Proves: TR-66.
#[test]
fn unsent_reports_do_not_accumulate() {
    let mut fixture = Fixture::reporting();
    fixture.wait();
    fixture.now += SECOND * 10;
    assert_eq!(fixture.state.next_deadline(), None, "the report is due; there is no room for it yet");
    assert_eq!(fixture.requests(), [all()]);
    assert_eq!(fixture.wait(), Some(SECOND));
}

/// Proves: TR-65.
#[test]
fn later_responses_change_what_is_reported_and_how_often() {
    let mut fixture = Fixture::reporting();
    fixture.now += SECOND / 2;
    fixture.respond(every(SECOND)).unwrap();
    assert_eq!(fixture.wait(), Some(SECOND / 2), "the same again changes nothing");
    assert_eq!(fixture.requests(), [all()]);
    let wanted = Wanted::Clusters(["a".to_owned()].into());
    fixture.respond(Ok(Instructions { interval: SECOND * 3, wanted: wanted.clone() })).unwrap();
    assert_eq!(fixture.wait(), Some(SECOND * 3));
    assert_eq!(fixture.requests(), [Request::Load(wanted)]);
    fixture.respond(every(Duration::MAX)).unwrap();
    assert_eq!(fixture.state.next_deadline(), None, "beyond the end of time");
}

/// Proves: TR-65.
#[test]
fn invalid_interval_restarts_the_stream() {
    for mut fixture in [Fixture::reporting(), Fixture::begin()] {
        if fixture.state.should_open() {
            fixture.open().requests();
        }
        fixture.respond(invalid()).unwrap_err();
        assert!(!fixture.state.wants_stream(), "the stream is dropped");
        assert_eq!(fixture.until_open(), SECOND);
        assert_eq!(fixture.open().requests(), [Request::Node], "the node is said again");
        fixture.respond(invalid()).unwrap_err();
        assert_eq!(fixture.until_open(), SECOND.mul_f64(1.6));
    }
}

/// Proves: TR-68.
#[test]
fn failed_streams_are_reopened_with_ads_backoff() {
    let mut fixture = Fixture::begin();
    let mut waits = Vec::new();
    for round in 0..14 {
        fixture.state.on_opening();
        if round % 2 == 1 {
            fixture.state.on_opened(fixture.now);
            fixture.requests();
        }
        fixture.end();
        waits.push(fixture.until_open().as_secs_f64());
    }
    let expected = (0..14).map(|round| 1.6_f64.powi(round).min(120.0));
    assert!(waits.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-6), "{waits:?}");

    fixture.open().requests();
    fixture.respond(every(SECOND)).unwrap();
    fixture.now += SECOND / 4;
    fixture.end();
    assert_eq!(
        fixture.until_open(),
        SECOND * 3 / 4,
        "one that worked for a moment: not more than one a second"
    );
    fixture.open().requests();
    fixture.respond(every(SECOND)).unwrap();
    fixture.now += SECOND * 60;
    fixture.end();
    assert_eq!(fixture.until_open(), Duration::ZERO, "one that worked: at once");
    fixture.open();
    fixture.end();
    assert_eq!(fixture.until_open(), SECOND, "the waits begin anew");
}

/// Proves: TR-68.
#[test]
fn nothing_is_opened_while_nothing_reports() {
    let mut opening = Fixture::begin();
    opening.state.on_opening();
    let mut waiting = Fixture::begin();
    waiting.state.on_opening();
    waiting.end();
    let mut greeted = Fixture::begin();
    greeted.open().requests();
    let mut early = Fixture::begin();
    early.open().respond(every(SECOND)).unwrap();
    for (name, mut fixture) in [
        ("idle", Fixture::begin()),
        ("opening", opening),
        ("waiting", waiting),
        ("before instructions", greeted),
        ("before the node", early),
    ] {
        fixture.set_use(false);
        assert!(fixture.state.is_done() && !fixture.state.wants_stream(), "{name}");
        assert_eq!((fixture.state.next_deadline(), fixture.requests()), (None, vec![]), "{name}");
        fixture.set_use(true);
        assert_eq!(fixture.state.should_open(), name != "waiting", "{name}");
    }
}

/// Proves: TR-69.
#[test]
fn last_report_is_sent_when_use_ends() {
    let mut fixture = Fixture::reporting();
    fixture.set_use(false);
    assert!(!fixture.state.has_sent_all());
    assert_eq!(fixture.requests(), [all()]);
    assert!(fixture.state.has_sent_all() && fixture.state.wants_stream(), "the server is to take it");
    fixture.end();
    assert!(fixture.state.is_done());

    for sends in [false, true] {
        let mut fixture = Fixture::reporting();
        fixture.set_use(false);
        if sends {
            fixture.requests();
        }
        assert_eq!(fixture.wait(), Some(SECOND), "a server that does not take it is not waited for");
        assert!(fixture.state.is_done());
    }

    let mut fixture = Fixture::reporting();
    fixture.set_use(false);
    fixture.set_use(true);
    assert_eq!(fixture.requests(), [], "it goes on as if nothing had been");
    assert_eq!(fixture.wait(), Some(SECOND));
    assert_eq!(fixture.requests(), [all()]);

    let mut fixture = Fixture::reporting();
    fixture.set_use(false);
    fixture.requests();
    fixture.set_use(true);
    assert!(fixture.state.has_sent_all());
    fixture.end();
    assert!(fixture.state.should_open(), "and another stream follows at once");
}

/// Proves: TR-68.
#[test]
fn reporter_that_returns_during_backoff_waits_for_it() {
    let mut fixture = Fixture::begin();
    fixture.open().end();
    let wait = fixture.state.next_deadline().unwrap();
    for _ in 0..3 {
        fixture.set_use(false);
        assert!(fixture.state.is_done() && !fixture.state.wants_stream());
        fixture.set_use(true);
        assert!(!fixture.state.is_done() && !fixture.state.should_open());
        assert_eq!(fixture.state.next_deadline(), Some(wait));
    }
    fixture.set_use(false);
    fixture.now = wait + SECOND;
    fixture.set_use(true);
    fixture.state.on_deadline(fixture.now);
    assert!(fixture.state.should_open());
}

#[test]
fn invalid_instructions_are_an_error() {
    fn is_error<E: std::error::Error>() {}
    is_error::<InvalidInstructions>();
}
