//! Deadlines that fire even if the call is not polled.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// A value that expires at a deadline.
pub(crate) trait Expire: Send + Sync {
    /// The deadline has passed.
    fn expire(&self);
}

/// The deadlines of the calls of one runtime, and the task that waits for them. The task starts with the first
/// deadline, and ends when this is dropped.
///
/// Adding and removing a deadline cost a lock and no allocation, except for the growth of two vectors.
pub(crate) struct Deadlines {
    shared: Arc<Shared>,
    runtime: Handle,
    task: OnceLock<AbortHandle>,
}

struct Shared {
    entries: Mutex<Entries>,
    /// Notified when the next deadline is earlier than before.
    earlier: Notify,
}

/// A registered deadline; dropping it removes the deadline.
pub(crate) struct Registration {
    deadlines: Arc<Deadlines>,
    key: Key,
}

/// The registered deadlines, in order. Removed ones stay in the queue until their time comes, or until they are more than
/// half of it.
#[derive(Default)]
struct Entries {
    queue: BinaryHeap<Reverse<(Instant, Key)>>,
    places: Vec<Place>,
    free: Vec<u32>,
    waiting: usize,
}

#[derive(Default)]
struct Place {
    /// Grows with every removed entry, so that an old key matches no entry.
    generation: u32,
    entry: Option<Weak<dyn Expire>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    place: u32,
    generation: u32,
}

impl Deadlines {
    /// Without deadlines. The task will run on this runtime.
    pub(crate) fn new(runtime: Handle) -> Self {
        let shared = Arc::new(Shared { entries: Mutex::default(), earlier: Notify::new() });
        Self { shared, runtime, task: OnceLock::new() }
    }

    /// Where the task runs.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// `entry` expires at `deadline`, unless the registration is dropped before.
    pub(crate) fn register(self: &Arc<Self>, deadline: Instant, entry: Weak<dyn Expire>) -> Registration {
        self.task.get_or_init(|| self.runtime.spawn(run(self.shared.clone())).abort_handle());
        let (key, is_next) = self.shared.lock().enter(deadline, entry);
        if is_next {
            self.shared.earlier.notify_one();
        }
        Registration { deadlines: self.clone(), key }
    }
}

impl Drop for Deadlines {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let left = self.deadlines.shared.lock().leave(self.key);
        drop(left);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Entries> {
        // No code that holds the lock can panic in the middle of a change.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run(shared: Arc<Shared>) {
    loop {
        let (next, due) = shared.lock().take_due(Instant::now());
        // Expired without the lock: an expired value may remove or register deadlines.
        due.iter().filter_map(Weak::upgrade).for_each(|entry| entry.expire());
        match next {
            Some(next) => tokio::select! {
                () = shared.earlier.notified() => {}
                () = tokio::time::sleep_until(next) => {}
            },
            None => shared.earlier.notified().await,
        }
    }
}

impl Entries {
    /// Adds a deadline. Returns also whether it is the next one.
    fn enter(&mut self, deadline: Instant, entry: Weak<dyn Expire>) -> (Key, bool) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            // A process has fewer than 2^32 calls.
            u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
        });
        let mut key = Key { place, generation: 0 };
        if let Some(place) = self.places.get_mut(place as usize) {
            key.generation = place.generation;
            place.entry = Some(entry);
        }
        let is_next = self.queue.peek().is_none_or(|Reverse((next, _))| deadline < *next);
        self.queue.push(Reverse((deadline, key)));
        self.waiting += 1;
        (key, is_next)
    }

    fn leave(&mut self, key: Key) -> Option<Weak<dyn Expire>> {
        let place = self.places.get_mut(key.place as usize)?;
        if place.generation != key.generation {
            return None;
        }
        place.generation = place.generation.wrapping_add(1);
        let entry = place.entry.take();
        self.free.push(key.place);
        self.waiting -= 1;
        if self.queue.len() > 2 * self.waiting + SLACK {
            let places = &self.places;
            self.queue.retain(|Reverse((_, key))| is_current(places, *key));
        }
        entry
    }

    /// The next deadline, and those that have passed.
    fn take_due(&mut self, now: Instant) -> (Option<Instant>, Vec<Weak<dyn Expire>>) {
        let mut due = Vec::new();
        while let Some(Reverse((deadline, key))) = self.queue.peek().copied() {
            let is_current = is_current(&self.places, key);
            if is_current && deadline > now {
                return (Some(deadline), due);
            }
            self.queue.pop();
            if is_current {
                due.extend(self.leave(key));
            }
        }
        (None, due)
    }
}

fn is_current(places: &[Place], key: Key) -> bool {
    places.get(key.place as usize).is_some_and(|place| place.generation == key.generation)
}

impl fmt::Debug for Deadlines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadlines").field("waiting", &self.shared.lock().waiting).finish_non_exhaustive()
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registration").field(&self.key).finish()
    }
}

/// This many removed entries may always stay in the queue.
const SLACK: usize = 64;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[derive(Default)]
    struct Expired(AtomicUsize);

    impl Expire for Expired {
        fn expire(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn entry(expired: &Arc<Expired>) -> Weak<dyn Expire> {
        let weak: Weak<Expired> = Arc::downgrade(expired);
        weak
    }

    #[tokio::test(start_paused = true)]
    async fn deadlines_fire_in_order_and_those_that_left_do_not() {
        let deadlines = Arc::new(Deadlines::new(Handle::current()));
        let [late, early, gone] = [(); 3].map(|()| Arc::new(Expired::default()));
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let _late = deadlines.register(start + 3 * second, entry(&late));
        let _early = deadlines.register(start + second, entry(&early));
        drop(deadlines.register(start + second, entry(&gone)));
        let counts = || [&late, &early, &gone].map(|expired| expired.0.load(Ordering::SeqCst));
        tokio::time::sleep(second * 2).await;
        assert_eq!(counts(), [0, 1, 0]);
        tokio::time::sleep(second * 2).await;
        assert_eq!(counts(), [1, 1, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn removed_entries_do_not_accumulate() {
        let deadlines = Arc::new(Deadlines::new(Handle::current()));
        let expired = Arc::new(Expired::default());
        let hour = Instant::now() + Duration::from_secs(3_600);
        for _ in 0..10_000 {
            drop(deadlines.register(hour, entry(&expired)));
        }
        let entries = deadlines.shared.lock();
        assert!(entries.queue.len() <= SLACK + 1, "{}", entries.queue.len());
        assert_eq!(entries.places.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn task_ends_with_the_last_holder() {
        let idle = Handle::current().metrics().num_alive_tasks();
        let deadlines = Arc::new(Deadlines::new(Handle::current()));
        let expired = Arc::new(Expired::default());
        let hour = Instant::now() + Duration::from_secs(3_600);
        let registration = deadlines.register(hour, entry(&expired));
        drop(deadlines);
        tokio::task::yield_now().await;
        assert_eq!(Handle::current().metrics().num_alive_tasks(), idle + 1, "a call still waits for it");
        drop(registration);
        tokio::task::yield_now().await;
        assert_eq!(Handle::current().metrics().num_alive_tasks(), idle);
    }
}
