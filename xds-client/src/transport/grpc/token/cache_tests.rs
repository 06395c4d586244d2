//! The lifetime of tokens, second by second.

use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::Instant;

use super::cache::{Step, Token, TokenCache};
use crate::transport::TransportError;

/// An event at some second.
enum Event {
    Call(Expected),
    /// A token of this name, valid for so many seconds.
    Reads(&'static str, u64),
    Fails(&'static str),
}

enum Expected {
    Use(&'static str),
    UseAndRead(&'static str),
    Read,
    Wait,
    Fail(&'static str),
}

use Event::{Call, Fails, Reads};
use Expected::{Fail, Read, Use, UseAndRead, Wait};

fn error(reason: &str) -> TransportError {
    TransportError::credentials(reason)
}

#[track_caller]
fn check(name: &str, events: Vec<(u64, Event)>) {
    let (mut cache, mut rng) = (TokenCache::default(), StdRng::seed_from_u64(1));
    let start = Instant::now();
    let token = |name: &str, seconds| Token::new(name, Duration::from_secs(seconds)).unwrap();
    for (second, event) in events {
        let now = start + Duration::from_secs(second);
        match event {
            Reads(name, seconds) => cache.on_read(now, Ok(token(name, seconds)), &mut rng),
            Fails(reason) => cache.on_read(now, Err(error(reason)), &mut rng),
            Call(expected) => {
                let expected = match expected {
                    Use(name) => Step::Use(token(name, 0).header()),
                    UseAndRead(name) => Step::UseAndRead(token(name, 0).header()),
                    Read => Step::Read,
                    Wait => Step::Wait,
                    Fail(reason) => Step::Fail(error(reason)),
                };
                assert_eq!(cache.on_call(now), expected, "{name}, second {second}");
            }
        }
    }
}

/// Proves: BS-14, BS-15.
#[test]
fn tokens_are_read_for_calls_and_kept_until_half_a_minute_before_their_end() {
    check(
        "used for 270 s of its 300",
        vec![
            (0, Call(Read)),
            (0, Call(Wait)),
            (1, Reads("a", 300)),
            (1, Call(Use("a"))),
            (210, Call(Use("a"))),
            (212, Call(UseAndRead("a"))),
            (213, Call(Use("a"))),
            (214, Reads("b", 300)),
            (215, Call(Use("b"))),
        ],
    );
    check(
        "without calls nothing is read; then calls wait",
        vec![
            (0, Call(Read)),
            (0, Reads("a", 300)),
            (270, Call(Read)),
            (270, Call(Wait)),
            (271, Reads("b", 300)),
        ],
    );
    check(
        "a read beside that fails changes nothing while the token is valid",
        vec![
            (0, Call(Read)),
            (0, Reads("a", 300)),
            (220, Call(UseAndRead("a"))),
            (220, Fails("gone")),
            (220, Call(Use("a"))),
            (222, Call(UseAndRead("a"))),
            (222, Fails("gone")),
            (269, Call(UseAndRead("a"))),
            (269, Fails("gone")),
            (270, Call(Fail("gone"))),
        ],
    );
    check(
        "failures are told until the backoff is over, 1 s and then 1.6 s with jitter",
        vec![
            (0, Call(Read)),
            (0, Fails("first")),
            (0, Call(Fail("first"))),
            (2, Call(Read)),
            (2, Call(Wait)),
            (2, Fails("second")),
            (3, Call(Fail("second"))),
            (4, Call(Read)),
            (4, Reads("a", 300)),
            (270, Call(UseAndRead("a"))),
            (270, Fails("third")),
            (272, Call(UseAndRead("a"))),
        ],
    );
    check(
        "a token about to expire is used by waiting calls, and is read again for the next",
        vec![(0, Call(Read)), (0, Reads("a", 20)), (0, Call(Read))],
    );
}
