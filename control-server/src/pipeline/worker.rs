//! The thread that turns events into resources.
//!
//! Model, translation and checks take as long as they take, so they have a thread that no stream of a client waits for. If it
//! panics, the state says so before anything else, which turns `/readyz`; what was published stays.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use futures_util::FutureExt as _;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use super::engine::Engine;
use super::guard::Guard;
use super::log;
use crate::model::OnInvalid;
use crate::resources::ResourceSet;
use crate::source::{Changes, Event, Keeper, Merge, Place, Source, SourceIndex};
use crate::state::{Diagnostic, PipelineState};

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Message {
    /// Events of one source, which take effect together.
    Events(SourceIndex, Vec<Event>),
    /// An operator approves the change of this id; the answer is whether it waited.
    Approve { id: String, answer: oneshot::Sender<bool> },
}

/// Where a pipeline publishes. Clones publish to the same receivers.
#[derive(Debug, Clone, Default)]
pub(super) struct Outlet {
    pub(super) resources: watch::Sender<Arc<ResourceSet>>,
    pub(super) state: watch::Sender<Arc<PipelineState>>,
}

/// What the thread owns.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) merge: Merge,
    pub(super) guard: Guard,
    pub(super) engine: Engine,
    pub(super) keeper: Option<Keeper>,
    pub(super) outlet: Outlet,
}

impl Worker {
    /// Starts the thread. It ends when all senders are gone.
    pub(super) fn start(self) -> io::Result<mpsc::Sender<Message>> {
        let (sender, inbox) = mpsc::channel(WAITING_MESSAGES);
        let outlet = self.outlet.clone();
        thread::Builder::new().name("configuration".to_owned()).spawn(move || {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.run(inbox))) {
                outlet.fail("the configuration thread", &*panic);
            }
        })?;
        Ok(sender)
    }

    fn run(mut self, mut inbox: mpsc::Receiver<Message>) {
        while let Some(message) = inbox.blocking_recv() {
            self.take(message);
            // Whatever has come in the meantime is one change.
            while let Ok(message) = inbox.try_recv() {
                self.take(message);
            }
            self.publish();
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Events(source, events) => {
                if let Some(keeper) = &mut self.keeper {
                    keeper.take(&events);
                }
                self.merge.take(source, events);
            }
            Message::Approve { id, answer } => {
                // What has come before may make it another change.
                self.publish();
                let approved = self.guard.approve(&id);
                let was_waiting = approved.is_some();
                if let Some(objects) = approved {
                    tracing::info!(id, "the change that waited has been approved");
                    let changes = Changes { objects, ..self.merge.changes_so_far() };
                    self.apply(changes);
                }
                // The operator's request may have ended.
                let _ = answer.send(was_waiting);
            }
        }
    }

    fn publish(&mut self) {
        if self.is_held_back() {
            return;
        }
        if let Some(mut changes) = self.merge.changes() {
            changes.objects = self.guard.admit(changes.objects);
            self.apply(changes);
        }
    }

    /// Whether the first configuration waits, because a file that cannot be read may restrict calls that would be open
    /// without it. Says so in the state.
    fn is_held_back(&mut self) -> bool {
        let is_first = self.merge.is_synced() && !self.outlet.state.borrow().synced;
        if !is_first || self.engine.on_invalid() == OnInvalid::DefaultRoute {
            return false;
        }
        let name = |place: &Place| if place.is_empty() { ".".to_owned() } else { place.to_string() };
        let blocked_by: Vec<String> = self.merge.hidden().map(name).collect();
        if blocked_by.is_empty() {
            return false;
        }
        let diagnostics = self.merge.all_diagnostics().to_vec().into();
        let state = Arc::new(PipelineState { blocked_by, diagnostics, ..PipelineState::default() });
        log::held_back(&self.outlet.state.borrow(), &state);
        self.outlet.state.send_replace(state);
        true
    }

    /// Resources before the state that describes them.
    fn apply(&mut self, changes: Changes) {
        let before = Arc::clone(&self.outlet.state.borrow());
        let mut applied = self.engine.apply(changes);
        let mut state = Arc::clone(self.engine.state());
        if !before.synced {
            // Last good objects have been applied before, without a word.
            let is_new = |one: &&Diagnostic| !before.diagnostics.contains(one);
            applied.appeared = state.diagnostics.iter().filter(is_new).cloned().collect();
        }
        if applied.has_changed || !before.synced {
            self.outlet.resources.send_replace(Arc::clone(self.engine.resources()));
        }
        let waiting = self.guard.waiting().cloned();
        let not_kept = match &mut self.keeper {
            // A restart must not find less than what is in effect.
            Some(_) if waiting.is_some() => before.not_kept.clone(),
            Some(keeper) => keeper.keep(&self.engine.broken_files()),
            None => Vec::new(),
        };
        if waiting.is_some() || !not_kept.is_empty() {
            let state = Arc::make_mut(&mut state);
            (state.waiting, state.not_kept) = (waiting, not_kept);
        }
        log::changes(&applied, &before, &state);
        self.outlet.state.send_replace(state);
    }
}

impl Outlet {
    fn fail(&self, what: &str, panic: &(dyn Any + Send)) {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
        let reason = format!("{what} has panicked: {text}");
        tracing::error!(reason, "changes of the configuration have no effect any more");
        self.state.send_modify(|state| Arc::make_mut(state).failed = Some(reason));
    }
}

/// Sends what a source reports to the thread. A source that ends leaves its objects in use; one that panics is a failure
/// of the pipeline.
pub(super) fn spawn_source(
    index: SourceIndex,
    mut source: Box<dyn Source>,
    worker: mpsc::Sender<Message>,
    outlet: Outlet,
) -> AbortHandle {
    let forward = async move {
        while let Some(events) = source.next().await {
            if worker.send(Message::Events(index, events)).await.is_err() {
                return;
            }
        }
    };
    let guarded = AssertUnwindSafe(forward).catch_unwind();
    let task = tokio::spawn(async move {
        if let Err(panic) = guarded.await {
            outlet.fail("a source of the configuration", &*panic);
        }
    });
    task.abort_handle()
}

/// Then sources wait.
const WAITING_MESSAGES: usize = 16;
