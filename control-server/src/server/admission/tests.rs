//! New streams on a clock of our own.

use std::time::{Duration, Instant};

use tonic::Code;

use crate::metrics::Metrics;
use crate::server::options::StreamLimits;

use super::admitter::{Admitter, Origin};
use super::gate::{Admission, Gate, PATIENCE, Reason};

fn limits(max_streams: usize, per_second: u32) -> StreamLimits {
    StreamLimits { max_streams, per_second }
}

fn is_within(found: Duration, expected: Duration) -> bool {
    found.abs_diff(expected) < Duration::from_micros(10)
}

#[test]
fn streams_that_are_open_are_counted() {
    let now = Instant::now();
    let mut gate = Gate::new(limits(2, 0));
    assert_eq!([gate.arrive(now), gate.arrive(now)], [Admission::Enter; 2]);
    assert_eq!(gate.arrive(now), Admission::Refuse(Reason::TooMany));
    gate.leave();
    assert_eq!(gate.arrive(now), Admission::Enter);
    assert_eq!(gate.arrive(now + Duration::from_secs(3600)), Admission::Refuse(Reason::TooMany));
}

#[test]
fn burst_of_streams_is_admitted_then_paced() {
    let now = Instant::now();
    let mut gate = Gate::new(limits(10_000, 500));
    let verdicts: Vec<_> = (0..4000).map(|_| gate.arrive(now)).collect();
    let entered = verdicts.iter().filter(|verdict| **verdict == Admission::Enter).count();
    assert_eq!(entered, 500);
    for (index, verdict) in verdicts.iter().enumerate().skip(500) {
        let wait = Duration::from_millis(2) * u32::try_from(index - 499).unwrap();
        match verdict {
            Admission::Wait(found) => {
                assert!(is_within(*found, wait) && wait <= PATIENCE, "{index}: {found:?}")
            }
            verdict => assert!(*verdict == Admission::Refuse(Reason::TooFast) && wait > PATIENCE, "{index}"),
        }
    }
    // A refused stream costs the others nothing.
    let after = now + PATIENCE;
    assert!(matches!(gate.arrive(after), Admission::Wait(wait) if is_within(wait, Duration::from_millis(2))));
    let quiet = after + Duration::from_secs(10);
    let entered = (0..4000).filter(|_| gate.arrive(quiet) == Admission::Enter).count();
    assert_eq!(entered, 500, "no more than a second's worth after a quiet time");
}

#[test]
fn small_rates_admit_at_least_one_stream() {
    let now = Instant::now();
    let mut gate = Gate::new(limits(10, 1));
    assert_eq!(gate.arrive(now), Admission::Enter);
    assert_eq!(gate.arrive(now), Admission::Wait(Duration::from_secs(1)));
    assert_eq!(gate.arrive(now + Duration::from_secs(2)), Admission::Enter);
}

#[tokio::test(start_paused = true)]
async fn two_thousand_clients_are_admitted_within_seconds() {
    let admitter = Admitter::new(limits(10_000, 500), Metrics::default());
    let began = tokio::time::Instant::now();
    let entering = (0..2000).map(|_| async {
        let permit = admitter.enter(Origin::default()).await.unwrap();
        (began.elapsed().as_millis() / 100, permit)
    });
    let entered = futures_util::future::join_all(entering).await;
    assert!(began.elapsed() <= Duration::from_millis(3100), "{:?}", began.elapsed());
    let in_tenth = |tenth| entered.iter().filter(|(found, _)| *found == tenth).count();
    assert!((1..30).all(|tenth| in_tenth(tenth) <= 60), "fifty in a tenth of a second after the burst");
}

#[tokio::test(start_paused = true)]
async fn refusals_name_the_limit_and_are_spread() {
    let admitter = Admitter::new(limits(1, 0), Metrics::default());
    let permit = admitter.enter(Origin::default()).await.unwrap();
    let began = tokio::time::Instant::now();
    let refusals = (0..100).map(|_| async {
        let status = admitter.enter(Origin::default()).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(status.message().contains("1 streams already, the limit (--max-streams)"), "{status}");
        began.elapsed().as_millis() / 100
    });
    let tenths = futures_util::future::join_all(refusals).await;
    let crowd = (0..10).map(|tenth| tenths.iter().filter(|found| **found == tenth).count()).max();
    assert!(crowd <= Some(40), "{tenths:?}");
    drop(permit);
    let _permit = admitter.enter(Origin::default()).await.unwrap();

    let admitter = Admitter::new(limits(10_000, 1), Metrics::default());
    let entering = (0..100).map(|_| admitter.enter(Origin::default()));
    let refused: Vec<_> =
        futures_util::future::join_all(entering).await.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 94, "one at once, five in five seconds");
    assert_eq!(refused[0].code(), Code::Unavailable);
    assert!(refused[0].message().contains("more than 1 new streams a second"), "{}", refused[0]);
}

#[tokio::test(start_paused = true)]
async fn cancelled_waiter_frees_its_place() {
    let admitter = Admitter::new(limits(2, 1), Metrics::default());
    let _first = admitter.enter(Origin::default()).await.unwrap();
    tokio::time::timeout(Duration::from_millis(1), admitter.enter(Origin::default())).await.unwrap_err();
    tokio::time::sleep(Duration::from_secs(10)).await;
    admitter.enter(Origin::default()).await.unwrap();
}
