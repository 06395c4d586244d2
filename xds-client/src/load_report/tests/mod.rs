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
