//! A text that never changes.

use std::future::{Future, ready};
use std::pin::Pin;

use super::{Entries, Event, Source};

/// A source of one text.
#[derive(Debug)]
pub(crate) struct TextSource(Option<Vec<Event>>);

impl TextSource {
    /// `name` stands for its file in diagnostics.
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let mut entries = Entries::default();
        entries.read(name, text);
        let mut events = entries.take_events();
        events.push(Event::Synced);
        Self(Some(events))
    }
}

impl Source for TextSource {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Vec<Event>>> + Send + '_>> {
        Box::pin(ready(self.0.take()))
    }
}
