//! One server's stream: its waits to the instant, and the ends of outages.

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::super::link::{Link, OutageChange};
use super::*;

fn link() -> Link {
    Link::new(&ServerSettings { silence_timeout: Some(60 * SECOND), ..ServerSettings::new("primary") })
}

fn rng() -> StdRng {
    StdRng::seed_from_u64(1)
}

fn closed() -> StreamEnd {
    StreamEnd::Closed { reason: "gone".to_owned() }
}

/// An open stream that has had a response.
fn responded(link: &mut Link, now: Instant) {
    link.on_opening(now);
    link.on_opened();
    link.on_request(now);
    link.on_response();
}

/// TR-24: a stream that had a response is replaced at once, but not twice within the first backoff.
#[test]
fn replaced_stream_is_replaced_again_only_after_a_second() {
    let start = Instant::now();
    for (between, waits) in
        [(Duration::ZERO, true), (SECOND - MOMENT, true), (SECOND, false), (2 * SECOND, false)]
    {
        let mut link = link();
        responded(&mut link, start);
        assert_eq!(link.on_ended(start, closed(), &mut rng()), OutageChange::Unchanged);
        assert!(link.is_idle());
        responded(&mut link, start);
        link.on_ended(start + between, closed(), &mut rng());
        assert_eq!(link.is_waiting(), waits, "{between:?}");
        assert_eq!(link.next_deadline(), waits.then_some(start + SECOND), "{between:?}");
    }
}

#[test]
fn wait_ends_at_its_deadline_and_not_before() {
    let start = Instant::now();
    let mut link = link();
    link.on_opening(start);
    assert_eq!(link.fail(start, "refused", &mut rng()), OutageChange::Changed);
    let until = link.next_deadline().unwrap();
    link.on_deadline(until - MOMENT, &mut rng());
    assert!(link.is_waiting());
    link.on_deadline(until, &mut rng());
    assert!(link.is_idle());
}

/// TR-25: watchers get an outage once, and again when its reason is another.
#[test]
fn outage_is_reported_when_it_begins_and_when_its_reason_changes() {
    let start = Instant::now();
    let mut link = link();
    assert_eq!(link.fail(start, "refused", &mut rng()), OutageChange::Changed);
    assert_eq!(link.fail(start + SECOND, "refused", &mut rng()), OutageChange::Unchanged);
    assert_eq!(link.fail(start + SECOND, "unknown host", &mut rng()), OutageChange::Changed);
    assert_eq!(link.outage().unwrap().since, start);
    assert_eq!(link.failures(), 3);
    assert_eq!(link.on_response(), OutageChange::Changed);
    assert_eq!(link.on_response(), OutageChange::Unchanged);
}

/// A quiet server is a connected one; one that owes a resource is lost after the silence timeout.
#[test]
fn open_stream_without_response_counts_as_one_or_is_lost_at_its_deadline() {
    let quiet = ServerSettings::new("primary").quiet_timeout;
    for (is_owing, timeout) in [(false, quiet), (true, 60 * SECOND)] {
        let start = Instant::now();
        let mut link = link();
        link.on_opening(start);
        link.on_opened();
        assert_eq!(link.next_deadline(), None, "nothing has been requested");
        assert!(link.on_request(start));
        assert!(!link.on_request(start + SECOND), "TR-02: only the first request is the first");
        if is_owing {
            link.on_unanswered();
        }
        assert_eq!(link.next_deadline(), Some(start + timeout));
        link.on_deadline(start + timeout - MOMENT, &mut rng());
        assert!(link.is_open() && !link.has_responded());
        link.on_deadline(start + timeout, &mut rng());
        assert_eq!((link.has_responded(), link.is_waiting()), (!is_owing, is_owing));
    }
}

#[test]
fn unneeded_server_keeps_its_outage_while_it_waits() {
    let start = Instant::now();
    let mut link = link();
    link.on_opening(start);
    link.fail(start, "refused", &mut rng());
    link.on_dropped();
    link.on_unneeded();
    assert!(link.is_waiting() && link.is_lost() && link.outage().is_some());
    link.on_deadline(link.next_deadline().unwrap(), &mut rng());
    link.on_unneeded();
    assert!(!link.is_lost() && link.outage().is_none());
}

#[test]
fn restart_ends_only_streams_with_a_request() {
    let start = Instant::now();
    let mut link = link();
    link.on_opening(start);
    link.restart();
    link.on_opened();
    link.restart();
    assert!(link.has_stream(), "its first requests are not sent yet");
    link.on_request(start);
    link.restart();
    assert!(!link.has_stream());
    link.on_dropped();
    assert!(link.is_idle());
}

const MOMENT: Duration = Duration::from_nanos(1);
