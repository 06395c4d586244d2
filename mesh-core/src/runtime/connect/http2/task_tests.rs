use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use super::settings::Http2Settings;
use super::shared::Shared;
use super::task::{ConnectionTask, Visit};

/// A connection whose driver counts its polls, and its task, which is polled by hand.
struct Fixture {
    shared: Arc<Shared>,
    driver: Arc<Driver>,
    task: Pin<Box<dyn Future<Output = ()>>>,
    woken: Arc<Woken>,
}

#[derive(Default)]
struct Driver {
    polls: AtomicUsize,
    /// As h2 keeps it: taken by the first wake.
    waker: Mutex<Option<Waker>>,
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Fixture {
    /// The task has run once.
    fn new() -> Self {
        let shared = Arc::new(Shared::new(100, &Http2Settings::default()));
        let driver = Arc::new(Driver::default());
        let polled = driver.clone();
        let poll = poll_fn(move |cx: &mut Context<'_>| polled.poll(cx));
        let task = ConnectionTask::new(shared.wakes.clone(), poll);
        let mut fixture = Self { shared, driver, task: Box::pin(task), woken: Arc::default() };
        fixture.poll_task();
        fixture
    }

    fn poll_task(&mut self) {
        let polled = self.task.as_mut().poll(&mut Context::from_waker(&self.woken.clone().into()));
        assert!(polled.is_pending());
    }

    /// How often the task was woken.
    fn woken(&self) -> usize {
        self.woken.0.load(Ordering::SeqCst)
    }

    /// A visit in which something is queued.
    fn visit(&self) {
        let _visit = Visit::new(&self.shared);
        self.driver.wake();
    }
}

impl Driver {
    fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        self.polls.fetch_add(1, Ordering::SeqCst);
        *self.waker.lock().unwrap() = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Queues something, as h2 does.
    fn wake(&self) {
        let waker = self.waker.lock().unwrap().take();
        waker.into_iter().for_each(Waker::wake);
    }
}

/// Something whose drop wakes the connection.
struct Stream<'a>(&'a Driver);

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        self.0.wake();
    }
}

#[test]
fn visit_wakes_the_task_at_its_end_if_something_is_queued() {
    let mut fixture = Fixture::new();
    let visit = Visit::new(&fixture.shared);
    fixture.driver.wake();
    assert_eq!(fixture.woken(), 0, "not before the end");
    drop(visit);
    assert_eq!(fixture.woken(), 1);
    drop(Visit::new(&fixture.shared));
    fixture.visit();
    assert_eq!(fixture.woken(), 1, "it has not run since");
    fixture.poll_task();
    assert_eq!(fixture.driver.polls.load(Ordering::SeqCst), 2);
    fixture.visit();
    assert_eq!(fixture.woken(), 2);
}

#[test]
fn wake_outside_of_a_visit_wakes_the_task_at_once() {
    let (fixture, other) = (Fixture::new(), Fixture::new());
    let visit = Visit::new(&other.shared);
    fixture.driver.wake();
    assert_eq!(fixture.woken(), 1, "the visit is of another connection");
    let driver = other.driver.clone();
    std::thread::spawn(move || driver.wake()).join().unwrap();
    assert_eq!(other.woken(), 1, "the visit is on another thread");
    drop(visit);
    assert_eq!((fixture.woken(), other.woken()), (1, 1));
}

#[test]
fn end_of_a_call_is_left_to_the_next_visit() {
    let fixture = Fixture::new();
    Visit::new(&fixture.shared).drop_ended(Stream(&fixture.driver));
    drop(Visit::first(&fixture.shared));
    assert_eq!(fixture.woken(), 0, "the body of the next call follows");
    drop(Visit::new(&fixture.shared));
    assert_eq!(fixture.woken(), 1);
}

#[test]
fn first_visit_of_a_call_is_left_to_the_drop_of_its_place() {
    let fixture = Fixture::new();
    fixture.shared.wakes.wake_if_pending();
    let visit = Visit::first(&fixture.shared);
    fixture.driver.wake();
    drop(visit);
    assert_eq!(fixture.woken(), 0);
    fixture.shared.wakes.wake_if_pending();
    assert_eq!(fixture.woken(), 1);
}

#[test]
fn poll_of_the_task_settles_what_was_left() {
    let mut fixture = Fixture::new();
    Visit::new(&fixture.shared).drop_ended(Stream(&fixture.driver));
    fixture.poll_task();
    drop(Visit::new(&fixture.shared));
    assert_eq!(fixture.woken(), 0);
}

#[test]
fn end_of_a_call_wakes_if_something_else_is_queued_or_the_connection_closes() {
    let fixture = Fixture::new();
    let visit = Visit::new(&fixture.shared);
    fixture.driver.wake();
    visit.drop_ended(());
    assert_eq!(fixture.woken(), 1);

    let fixture = Fixture::new();
    fixture.shared.close();
    Visit::new(&fixture.shared).drop_ended(Stream(&fixture.driver));
    assert_eq!(fixture.woken(), 1, "the connection ends with its last call");
}

#[test]
fn inner_visit_leaves_its_wake_to_the_outer_one() {
    let fixture = Fixture::new();
    let outer = Visit::new(&fixture.shared);
    fixture.visit();
    assert_eq!(fixture.woken(), 0);
    drop(outer);
    assert_eq!(fixture.woken(), 1);
}
