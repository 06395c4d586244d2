use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::future::BoxFuture;

use super::settings::Http2Settings;
use super::shared::Shared;
use super::task::{self, Visit};

/// A connection whose driver counts its polls, and its task, which is polled by hand.
struct Fixture {
    shared: Arc<Shared>,
    driver: Arc<Driver>,
    task: BoxFuture<'static, ()>,
    woken: Arc<Woken>,
}

#[derive(Default)]
struct Driver {
    polls: AtomicUsize,
    /// As h2 keeps it: taken by the first wake.
    waker: Mutex<Option<Waker>>,
    next: Mutex<Next>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Next {
    #[default]
    Pending,
    End,
    Panic,
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Fixture {
    /// With so many calls in flight. The task has run once.
    fn new(calls: usize) -> Self {
        let shared = Arc::new(Shared::new(100, &Http2Settings::default()));
        (0..calls).for_each(|_| shared.places.try_enter().unwrap());
        let driver = Arc::new(Driver::default());
        let polled = driver.clone();
        let task = task::run(shared.clone(), poll_fn(move |cx| polled.poll(cx)));
        let mut fixture = Self { shared, driver, task: Box::pin(task), woken: Arc::default() };
        assert!(fixture.poll_task().is_pending());
        fixture
    }

    fn poll_task(&mut self) -> Poll<()> {
        self.task.as_mut().poll(&mut Context::from_waker(&self.woken.clone().into()))
    }

    /// How often the driver was polled, and how often the task was woken.
    fn counts(&self) -> (usize, usize) {
        (self.driver.polls.load(Ordering::SeqCst), self.woken.0.load(Ordering::SeqCst))
    }
}

impl Driver {
    fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        self.polls.fetch_add(1, Ordering::SeqCst);
        *self.waker.lock().unwrap() = Some(cx.waker().clone());
        let next = *self.next.lock().unwrap();
        match next {
            Next::Pending => Poll::Pending,
            Next::End => Poll::Ready(()),
            Next::Panic => panic!("as the test told it"),
        }
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

#[tokio::test]
async fn only_call_polls_the_connection_at_the_end_of_its_visit() {
    let fixture = Fixture::new(1);
    let visit = Visit::new(&fixture.shared);
    fixture.driver.wake();
    assert_eq!(fixture.counts(), (1, 0), "not before the end");
    drop(visit);
    assert_eq!(fixture.counts(), (2, 0));
    drop(Visit::new(&fixture.shared));
    assert_eq!(fixture.counts(), (2, 0), "nothing was queued");
}

#[tokio::test]
async fn one_of_several_calls_wakes_the_task() {
    let mut fixture = Fixture::new(2);
    for _ in 0..3 {
        let _visit = Visit::new(&fixture.shared);
        fixture.driver.wake();
    }
    assert_eq!(fixture.counts(), (1, 1));
    assert!(fixture.poll_task().is_pending());
    assert_eq!(fixture.counts(), (2, 1), "a runtime of one thread needs no yield");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn task_lets_other_callers_go_first_if_there_are_several_threads() {
    let mut fixture = Fixture::new(2);
    let visit = Visit::new(&fixture.shared);
    fixture.driver.wake();
    drop(visit);
    assert!(fixture.poll_task().is_pending());
    assert_eq!(fixture.counts().0, 1, "it yields");
    poll_fn(|cx| {
        // Outside the runtime's tasks, the yield ends at once.
        cx.waker().wake_by_ref();
        let _ = fixture.poll_task();
        if fixture.counts().0 == 2 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[tokio::test]
async fn wake_outside_of_a_visit_wakes_the_task() {
    let fixture = Fixture::new(1);
    let other = Fixture::new(1);
    fixture.driver.wake();
    assert_eq!(fixture.counts(), (1, 1));
    let visit = Visit::new(&fixture.shared);
    other.driver.wake();
    std::thread::scope(|scope| scope.spawn(|| fixture.driver.waker.lock().unwrap().take()).join().unwrap());
    drop(visit);
    assert_eq!((fixture.counts(), other.counts()), ((1, 1), (1, 1)), "a visit is of one connection");
}

#[tokio::test]
async fn end_of_a_call_is_left_to_the_next_visit() {
    let fixture = Fixture::new(2);
    Visit::new(&fixture.shared).drop_ended(Stream(&fixture.driver));
    assert_eq!(fixture.counts(), (1, 0));
    drop(Visit::first(&fixture.shared));
    assert_eq!(fixture.counts(), (1, 0), "its body follows");
    drop(Visit::new(&fixture.shared));
    assert_eq!(fixture.counts(), (1, 1));

    let fixture = Fixture::new(2);
    drop(Visit::first(&fixture.shared));
    fixture.shared.polled.wake_if_pending();
    assert_eq!(fixture.counts(), (1, 0));
    let visit = Visit::first(&fixture.shared);
    fixture.driver.wake();
    drop(visit);
    fixture.shared.polled.wake_if_pending();
    assert_eq!(fixture.counts(), (1, 1), "the call was dropped before its body was sent");
}

#[tokio::test]
async fn end_of_a_call_wakes_if_something_else_is_queued_or_the_connection_closes() {
    let fixture = Fixture::new(2);
    let visit = Visit::new(&fixture.shared);
    fixture.driver.wake();
    visit.drop_ended(());
    assert_eq!(fixture.counts(), (1, 1));

    let fixture = Fixture::new(2);
    fixture.shared.close();
    Visit::new(&fixture.shared).drop_ended(Stream(&fixture.driver));
    assert_eq!(fixture.counts(), (1, 1), "the connection ends with its last call");
}

#[tokio::test]
async fn inner_visit_leaves_the_end_to_the_outer_one() {
    let fixture = Fixture::new(1);
    let outer = Visit::new(&fixture.shared);
    let inner = Visit::new(&fixture.shared);
    fixture.driver.wake();
    drop(inner);
    assert_eq!(fixture.counts(), (1, 0));
    drop(outer);
    assert_eq!(fixture.counts(), (2, 0));
}

#[tokio::test]
async fn task_ends_with_a_connection_that_a_caller_has_polled_to_its_end() {
    for next in [Next::End, Next::Panic] {
        let mut fixture = Fixture::new(1);
        *fixture.driver.next.lock().unwrap() = next;
        let visit = Visit::new(&fixture.shared);
        fixture.driver.wake();
        drop(visit);
        assert_eq!(fixture.counts(), (2, 1), "a panic does not reach the caller");
        assert_eq!(fixture.poll_task(), Poll::Ready(()));
        assert_eq!(fixture.counts().0, 2);
        drop(fixture.task);
        assert_eq!(Arc::strong_count(&fixture.driver), 1, "the connection is dropped");
    }
}

#[tokio::test]
async fn dropped_task_drops_the_connection() {
    let fixture = Fixture::new(1);
    drop(fixture.task);
    assert_eq!(Arc::strong_count(&fixture.driver), 1);
    let visit = Visit::new(&fixture.shared);
    fixture.driver.wake();
    drop(visit);
    assert_eq!(fixture.driver.polls.load(Ordering::SeqCst), 1);
}
