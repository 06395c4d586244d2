//! The thread that turns events into resources.
//!
//! Model, translation and checks take as long as they take, so they have a thread that no stream of a client waits for. If it
//! panics, the state says so before anything else, which turns `/readyz`; what was published stays.

use std::any::Any;
use std::collections::BTreeSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use futures_util::FutureExt as _;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use super::engine::Engine;
use super::log;
use crate::resources::ResourceSet;
use crate::source::{Event, Keeper, Merge, Source, SourceIndex};
use crate::state::{PipelineState, Severity};

/// Events of one source, which take effect together.
#[derive(Debug)]
pub(super) struct Batch {
    source: SourceIndex,
    events: Vec<Event>,
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
    pub(super) engine: Engine,
    pub(super) keeper: Option<Keeper>,
    pub(super) outlet: Outlet,
}

impl Worker {
    /// Starts the thread. It ends when all senders are gone.
    pub(super) fn start(self) -> io::Result<mpsc::Sender<Batch>> {
        let (sender, inbox) = mpsc::channel(WAITING_BATCHES);
        let outlet = self.outlet.clone();
        thread::Builder::new().name("configuration".to_owned()).spawn(move || {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.run(inbox))) {
                outlet.fail("the configuration thread", &*panic);
            }
        })?;
        Ok(sender)
    }

    fn run(mut self, mut inbox: mpsc::Receiver<Batch>) {
        while let Some(batch) = inbox.blocking_recv() {
            self.take(batch);
            // Whatever has come in the meantime is one change.
            while let Ok(batch) = inbox.try_recv() {
                self.take(batch);
            }
            self.publish();
        }
    }

    fn take(&mut self, Batch { source, events }: Batch) {
        if let Some(keeper) = &mut self.keeper {
            keeper.take(&events);
        }
        self.merge.take(source, events);
    }

    /// Resources before the state that describes them.
    fn publish(&mut self) {
        let Some(changes) = self.merge.changes() else { return };
        let before = Arc::clone(&self.outlet.state.borrow());
        let changed = self.engine.apply(changes);
        let mut state = Arc::clone(self.engine.state());
        if changed || !before.synced {
            self.outlet.resources.send_replace(Arc::clone(self.engine.resources()));
        }
        if let Some(keeper) = &mut self.keeper {
            let not_kept = keeper.keep(&broken_files(&state));
            if !not_kept.is_empty() {
                Arc::make_mut(&mut state).not_kept = not_kept;
            }
        }
        log::changes(&before, &state);
        self.outlet.state.send_replace(state);
    }
}

impl Outlet {
    fn fail(&self, what: &str, panic: &(dyn Any + Send)) {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
        let reason = format!("{what} has panicked: {text}");
        self.state.send_modify(|state| Arc::make_mut(state).failed = Some(reason));
    }
}

/// Sends what a source reports to the thread. A source that ends leaves its objects in use; one that panics is a failure
/// of the pipeline.
pub(super) fn spawn_source(
    index: SourceIndex,
    mut source: Box<dyn Source>,
    worker: mpsc::Sender<Batch>,
    outlet: Outlet,
) -> AbortHandle {
    let forward = async move {
        while let Some(events) = source.next().await {
            if worker.send(Batch { source: index, events }).await.is_err() {
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

fn broken_files(state: &PipelineState) -> BTreeSet<String> {
    let errors = state.diagnostics.iter().filter(|found| found.severity == Severity::Error);
    errors.map(|found| found.file.clone()).collect()
}

/// Then sources wait.
const WAITING_BATCHES: usize = 16;
