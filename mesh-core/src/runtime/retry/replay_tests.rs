//! Bodies that are sent again.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};

use super::replay::{Readers, Replay, ReplayBody};
use super::{ReplayLimit, ReplayRoom};

/// Gives frames, then its end; being asked again after the end is a bug.
struct Frames(Vec<Frame<Bytes>>, bool);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.0.is_empty() {
            assert!(!std::mem::replace(&mut self.1, true), "polled after its end");
            return Poll::Ready(None);
        }
        Poll::Ready(Some(Ok(self.0.remove(0))))
    }
}

fn body(parts: &[&'static str]) -> Frames {
    let mut frames: Vec<_> =
        parts.iter().map(|part| Frame::data(Bytes::from_static(part.as_bytes()))).collect();
    let mut trailers = HeaderMap::new();
    trailers.insert("end", HeaderValue::from_static("yes"));
    frames.push(Frame::trailers(trailers));
    Frames(frames, false)
}

fn read(body: &mut ReplayBody<Frames>, frames: usize) -> String {
    let mut cx = Context::from_waker(Waker::noop());
    let mut text = String::new();
    for _ in 0..frames {
        match pin!(std::future::poll_fn(|cx| body.poll_frame(cx))).poll(&mut cx) {
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => text.push_str(std::str::from_utf8(&data).unwrap()),
                Err(_) => text.push_str("|trailers"),
            },
            Poll::Ready(None) => text.push_str("|end"),
            Poll::Pending => text.push_str("|pending"),
            Poll::Ready(Some(Err(never))) => match never {},
        }
    }
    text
}

#[test]
fn each_attempt_reads_the_whole_body() {
    let replay = Replay::new(body(&["ab", "cd"]), ReplayRoom::of(ReplayLimit::default()), Readers::Latest);
    let mut first = replay.attempt().unwrap();
    assert_eq!(read(&mut first, 1), "ab");
    let mut second = replay.attempt().unwrap();
    assert_eq!(read(&mut second, 5), "abcd|trailers|end|end");
    assert_eq!(read(&mut first, 1), "|end", "an attempt that is over reads nothing more");
    assert_eq!(read(&mut replay.attempt().unwrap(), 4), "abcd|trailers|end");
}

#[test]
fn attempt_continues_beyond_the_limit_and_is_the_last() {
    let replay = Replay::new(body(&["abc", "def", "ghi"]), ReplayRoom::of(ReplayLimit(6)), Readers::Latest);
    let mut attempt = replay.attempt().unwrap();
    assert_eq!(read(&mut attempt, 2), "abcdef");
    assert!(!replay.is_committed());
    assert_eq!(read(&mut attempt, 3), "ghi|trailers|end");
    assert!(replay.is_committed());
    assert!(replay.attempt().is_none());
}

#[test]
fn commit_releases_read_frames_and_keeps_no_more() {
    let replay =
        Replay::new(body(&["ab", "cd", "ef"]), ReplayRoom::of(ReplayLimit::default()), Readers::Latest);
    assert_eq!(read(&mut replay.attempt().unwrap(), 2), "abcd");
    let mut attempt = replay.attempt().unwrap();
    assert_eq!(read(&mut attempt, 1), "ab");
    let kept = || replay.kept_bytes();
    assert_eq!(kept(), 4);
    replay.commit();
    assert_eq!(kept(), 2, "what is still to be read");
    assert_eq!(read(&mut attempt, 1), "cd");
    assert_eq!(kept(), 0);
    assert_eq!(read(&mut attempt, 1), "ef");
    assert_eq!(kept(), 0, "the upload goes on without a copy");
}

#[test]
fn commit_in_the_middle_loses_nothing() {
    let replay =
        Replay::new(body(&["ab", "cd", "ef"]), ReplayRoom::of(ReplayLimit::default()), Readers::Latest);
    assert_eq!(read(&mut replay.attempt().unwrap(), 2), "abcd");
    let mut attempt = replay.attempt().unwrap();
    assert_eq!(read(&mut attempt, 1), "ab");
    replay.commit();
    assert_eq!(read(&mut attempt, 4), "cdef|trailers|end");
}

#[test]
fn attempts_at_the_same_time_read_the_same_body_until_one_is_chosen() {
    let room = ReplayRoom::of(ReplayLimit::default());
    let replay = Replay::new(body(&["ab", "cd", "ef"]), room, Readers::All);
    let (mut first, mut second) = (replay.attempt().unwrap(), replay.attempt().unwrap());
    assert_eq!((read(&mut first, 1), read(&mut second, 2)), ("ab".to_owned(), "abcd".to_owned()));
    assert_eq!(read(&mut first, 1), "cd");
    assert_eq!(read(&mut replay.attempt().unwrap(), 3), "abcdef");
    assert_eq!(replay.kept_bytes(), 6);
    replay.commit_to(first.number());
    assert_eq!(replay.kept_bytes(), 2, "what is still to be read");
    assert_eq!(read(&mut second, 1), "|pending", "never an end that looks like a complete request");
    assert!(!second.is_end_stream() && replay.attempt().is_none());
    assert_eq!(read(&mut first, 3), "ef|trailers|end");
    assert_eq!(replay.kept_bytes(), 0);
}

/// Proves: RT-43.
#[test]
fn only_the_attempt_that_exceeds_the_room_goes_on() {
    let mut cx = Context::from_waker(Waker::noop());
    let replay = Replay::new(body(&["abc", "def"]), ReplayRoom::of(ReplayLimit(3)), Readers::All);
    let (mut first, mut second) = (replay.attempt().unwrap(), replay.attempt().unwrap());
    assert_eq!((read(&mut first, 1), read(&mut second, 1)), ("abc".to_owned(), "abc".to_owned()));
    assert_eq!(replay.committed_to(&mut cx), None);
    assert_eq!(read(&mut second, 1), "def");
    assert_eq!(replay.committed_to(&mut cx), Some(second.number()));
    assert_eq!(
        (read(&mut first, 1), read(&mut second, 2)),
        ("|pending".to_owned(), "|trailers|end".to_owned())
    );
}
