//! From configuration to resources, continuously.
//!
//! ```text
//! sources --events--> Worker: Merge --changes--> Engine (model, translate, last good) --watch--> resources, then state
//!  (tasks)           (thread)                        `-- log: each diagnostic once when it appears, once when it clears
//! ```
//!
//! Nothing is published before every source has synced. Resources are published before the state that describes them.

mod engine;
mod error;
mod guard;
mod log;
mod summary;
#[cfg(test)]
mod tests;
mod validate;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use crate::resources::ResourceSet;
use crate::source::{FileOptions, FileSource, Keeper, Lock, Merge, Source, TextSource};
use crate::state::PipelineState;
use engine::Engine;
use guard::Guard;
use worker::{Message, Outlet, Worker, spawn_source};

pub use crate::model::{OnInvalid, Settings};
pub use crate::source::{DataDirError, Links};
pub use crate::translate::LoadReporting;
pub use error::StartError;
pub use guard::MaxRemoval;
pub use validate::{Input, PassedOver, Validation, validate};

/// The source of configuration and how it is watched.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folders of YAML and JSON files, with their subfolders; or files, whatever their names. Where several have an object of the
    /// same kind, namespace and name, the one of the earlier folder is in use.
    pub folders: Vec<PathBuf>,
    /// How long changes are collected before they are read; 100 ms by default.
    pub debounce: Duration,
    /// How often the folder is scanned without an event; 5 s by default.
    pub rescan: Duration,
    /// Where to keep what was last good of each file, so that a restart with a broken file changes nothing; nowhere by
    /// default. Not inside `folder`, and not shared: it is locked while the pipeline runs.
    pub data_dir: Option<PathBuf>,
    /// Which links in the folder are followed; those that stay inside by default.
    pub links: Links,
    /// What one change may remove before it waits for an operator; half by default.
    pub max_removal: MaxRemoval,
    /// Whether clusters ask for load reports; on by default.
    pub load_reporting: LoadReporting,
    /// What objects mean where they do not say it.
    pub settings: Settings,
}

impl Options {
    /// The defaults for a folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self::of_folders(vec![folder.into()])
    }

    /// The defaults for several folders, the one that goes first before the others.
    pub fn of_folders(folders: Vec<PathBuf>) -> Self {
        Self {
            folders,
            debounce: Duration::from_millis(100),
            rescan: Duration::from_secs(5),
            data_dir: None,
            links: Links::Inside,
            max_removal: MaxRemoval::default(),
            load_reporting: LoadReporting::On,
            settings: Settings::default(),
        }
    }
}

/// A running pipeline. It ends when this is dropped; what it has published stays with its receivers.
#[derive(Debug)]
#[must_use = "the pipeline ends when this is dropped"]
pub struct Pipeline {
    resources: watch::Receiver<Arc<ResourceSet>>,
    state: watch::Receiver<Arc<PipelineState>>,
    sources: Vec<AbortHandle>,
    /// The thread ends when this and its clones are gone.
    worker: mpsc::Sender<Message>,
    /// On the data folder.
    lock: Option<Lock>,
}

impl Pipeline {
    /// Starts on the current tokio runtime. The first resources come when the whole folder has been read.
    ///
    /// # Errors
    /// [`StartError`] when the folder cannot be read, the data folder cannot be used, or no thread can be started. Broken files
    /// are no such error: they are diagnostics.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(options: Options) -> Result<Self, StartError> {
        let mut sources = open_folders(&options)?;
        let Options { folders, data_dir, max_removal, load_reporting, settings, .. } = options;
        let open = |data_dir: PathBuf| {
            Keeper::open(&data_dir, &folders)
                .map_err(|source| StartError::DataDir { folder: data_dir, source })
        };
        let run = format!("{:04x}", rand::random::<u16>());
        let mut guard = Guard::new(max_removal, run);
        let (mut merge, mut engine) = (Merge::new(sources.len()), Engine::new(settings, load_reporting));
        let mut keeper = data_dir.map(open).transpose()?;
        if let Some(keeper) = &mut keeper {
            let mut sets = [Vec::new(), Vec::new()];
            for source in &mut sources {
                let remembered = source.remember(keeper.last_good());
                sets.iter_mut().zip(remembered).for_each(|(set, events)| set.push(events));
            }
            for set in sets {
                // Never published: the first set of the sources falls back to it.
                for (index, events) in set.into_iter().enumerate() {
                    keeper.take(&events);
                    merge.take(index, events);
                }
                let mut changes = merge.changes_so_far();
                changes.objects = guard.pass(changes.objects);
                engine.apply(changes);
            }
        }
        let sources = sources.into_iter().map(|source| -> Box<dyn Source> { Box::new(source) }).collect();
        Self::from_sources(sources, merge, guard, engine, keeper)
    }

    /// A pipeline of one text, which never changes. `name` stands for its file.
    ///
    /// # Errors
    /// [`StartError`] when no thread can be started.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn of_text(name: &str, text: &str, load_reporting: LoadReporting) -> Result<Self, StartError> {
        let guard = Guard::new(MaxRemoval::default(), String::new());
        let source = TextSource::new(name, text);
        Self::from_sources(
            vec![Box::new(source)],
            Merge::new(1),
            guard,
            Engine::new(Settings::default(), load_reporting),
            None,
        )
    }

    /// The served resources.
    pub fn resources(&self) -> watch::Receiver<Arc<ResourceSet>> {
        self.resources.clone()
    }

    /// The state of the configuration; synced only after its resources.
    pub fn state(&self) -> watch::Receiver<Arc<PipelineState>> {
        self.state.clone()
    }

    /// Waits until the pipeline cannot go on, for ever if it can; returns why. What it has published stays.
    pub async fn failed(&self) -> String {
        let mut state = self.state();
        let failed = state.wait_for(|state| state.failed.is_some()).await.ok();
        let reason = failed.and_then(|state| state.failed.clone());
        match reason {
            Some(reason) => reason,
            None => std::future::pending().await,
        }
    }

    /// Approves changes that wait, for as long as the pipeline runs.
    pub fn approver(&self) -> Approver {
        Approver { worker: self.worker.downgrade() }
    }

    /// `merge` is of as many sources, in their order.
    fn from_sources(
        sources: Vec<Box<dyn Source>>,
        merge: Merge,
        guard: Guard,
        engine: Engine,
        keeper: Option<Keeper>,
    ) -> Result<Self, StartError> {
        let lock = keeper.as_ref().map(Keeper::lock);
        let outlet = Outlet::default();
        let (resources, state) = (outlet.resources.subscribe(), outlet.state.subscribe());
        let worker = Worker { merge, guard, engine, keeper, outlet: outlet.clone() }.start();
        let worker = worker.map_err(|source| StartError::Thread { source })?;
        let spawn = |(index, source)| spawn_source(index, source, worker.clone(), outlet.clone());
        let sources = sources.into_iter().enumerate().map(spawn).collect();
        Ok(Self { resources, state, sources, worker, lock })
    }
}

fn open_folders(options: &Options) -> Result<Vec<FileSource>, StartError> {
    let Options { folders, links, debounce, rescan, .. } = options;
    let labels = labels(folders);
    let folders = folders.iter().zip(labels).enumerate();
    let open = |(source, (folder, label)): (usize, (&PathBuf, String))| {
        let (links, debounce, rescan) = (*links, *debounce, *rescan);
        FileSource::open(FileOptions { folder: folder.clone(), source, label, links, debounce, rescan })
            .map_err(|source| StartError::Folder { folder: folder.clone(), source })
    };
    folders.map(open).collect()
}

/// What stands before the names of the files of several folders: each folder's own name, with a number where two have the same.
fn labels(folders: &[PathBuf]) -> Vec<String> {
    if folders.len() == 1 {
        return vec![String::new()];
    }
    let mut labels: Vec<String> = Vec::new();
    for folder in folders {
        // A hidden name would not be read again from the data folder.
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let name = Some(name.trim_start_matches('.')).filter(|name| !name.is_empty()).unwrap_or("config");
        let numbered = (2..).map(|number| format!("{name}-{number}/"));
        let mut candidates = std::iter::once(format!("{name}/")).chain(numbered);
        labels.extend(candidates.find(|candidate| !labels.contains(candidate)));
    }
    labels
}

/// Approves changes that wait because they remove much. Clones approve the same pipeline's.
#[derive(Debug, Clone)]
pub struct Approver {
    worker: mpsc::WeakSender<Message>,
}

impl Approver {
    /// Lets the change of this id take effect; returns when it has. `false`: no such change waits.
    pub async fn approve(&self, id: &str) -> bool {
        let (answer, approved) = oneshot::channel();
        let message = Message::Approve { id: id.to_owned(), answer };
        match self.worker.upgrade() {
            Some(worker) => worker.send(message).await.is_ok() && approved.await.unwrap_or(false),
            None => false,
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.sources.iter().for_each(AbortHandle::abort);
        // Now, so that another pipeline can start at once; the thread ends a little later.
        if let Some(lock) = &self.lock {
            lock.release();
        }
    }
}
