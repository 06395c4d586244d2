//! Several sources, and the end of the thread or of a source.

use std::future::Future;
use std::pin::Pin;

use tokio::sync::mpsc;

use super::*;
use crate::source::Source;

/// A source that a test feeds.
#[derive(Debug)]
struct Fed(mpsc::Receiver<Vec<Event>>);

impl Source for Fed {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Vec<Event>>> + Send + '_>> {
        Box::pin(self.0.recv())
    }
}

/// A source that panics once it is asked.
#[derive(Debug)]
struct Panicking;

impl Source for Panicking {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Vec<Event>>> + Send + '_>> {
        Box::pin(async { panic!("a fault of the source") })
    }
}

fn feed() -> (mpsc::Sender<Vec<Event>>, Box<dyn Source>) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, Box::new(Fed(receiver)))
}

fn start(sources: Vec<Box<dyn Source>>, engine: Engine) -> Pipeline {
    let merge = Merge::new(sources.len());
    Pipeline::from_sources(sources, merge, Guard::new(MaxRemoval::default(), "x".to_owned()), engine, None)
        .unwrap()
}

fn events(name: &str, text: &str) -> Vec<Event> {
    let mut entries = Entries::default();
    entries.read(name, text);
    let mut events = entries.take_events();
    events.push(Event::Synced);
    events
}

impl Pipeline {
    /// A pipeline whose only source panics.
    pub(crate) fn failing() -> Self {
        start(vec![Box::new(Panicking)], Engine::default())
    }
}

#[tokio::test]
async fn unsynced_source_delays_the_first_publication_and_empties_nothing() {
    let ((first, one), (second, other)) = (feed(), feed());
    let pipeline = start(vec![one, other], Engine::default());
    let mut state = pipeline.state();
    first.send(events("a", &service("orders", &["10.0.0.1"]))).await.unwrap();
    // Once there is room for another batch, the first one has been taken.
    let permit = first.reserve().await.unwrap();
    assert!(!state.borrow_and_update().synced);
    assert!(pipeline.resources().borrow().to_map().is_empty());
    drop(permit);
    second.send(events("b", &service("users", &["10.0.1.1"]))).await.unwrap();
    until(&mut state, |state| state.synced).await;
    assert_eq!(state.borrow().objects.len(), 2);
    assert_eq!(state.borrow().revision, 1, "published once");

    drop(first);
    second.send(events("c", &service("carts", &["10.0.1.1"]))).await.unwrap();
    until(&mut state, |state| state.objects.len() == 3).await;
    drop(second);
    assert_eq!(state.borrow().failed, None, "sources may end");
    assert_eq!(pipeline.state().borrow().objects.len(), 3);
}

#[tokio::test]
async fn panic_of_the_thread_is_told_and_leaves_what_is_served() {
    let (sender, source) = feed();
    let mut engine = Engine::default();
    engine.poison = Some("users");
    let pipeline = start(vec![source], engine);
    let mut state = pipeline.state();
    sender.send(events("a", &service("orders", &["10.0.0.1"]))).await.unwrap();
    until(&mut state, |state| state.synced).await;
    let served = pipeline.resources().borrow().to_map();
    sender.send(events("b", &service("users", &["10.0.1.1"]))).await.unwrap();
    let reason = tokio::time::timeout(Duration::from_secs(20), pipeline.failed()).await.unwrap();
    assert_eq!(reason, "the configuration thread has panicked: poisoned");
    assert_eq!(state.borrow().failed.as_ref(), Some(&reason));
    assert_eq!((state.borrow().synced, state.borrow().objects.len()), (true, 1));
    assert_eq!(pipeline.resources().borrow().to_map(), served);
}

#[tokio::test]
async fn panic_of_a_source_is_told() {
    let pipeline = Pipeline::failing();
    let reason = tokio::time::timeout(Duration::from_secs(20), pipeline.failed()).await.unwrap();
    assert_eq!(reason, "a source of the configuration has panicked: a fault of the source");
}
