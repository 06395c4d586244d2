//! The resources that streams serve from: nothing until the configuration has synced, then the latest revision.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use crate::resources::ResourceSet;
use crate::state::PipelineState;

/// What the pipeline gives to discovery and to the admin API.
///
/// The first synced `state` must come after the `resources` that belong to it.
#[derive(Debug, Clone)]
pub struct Feed {
    /// The latest resources.
    pub resources: watch::Receiver<Arc<ResourceSet>>,
    /// How configuration stands.
    pub state: watch::Receiver<Arc<PipelineState>>,
}

/// The resources of one revision and when they became known here.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Every resource.
    pub set: Arc<ResourceSet>,
    /// Start of the push latency.
    pub published: Instant,
}

/// A cheap view of the latest [`Snapshot`]; `None` until the configuration has synced.
#[derive(Debug, Clone)]
pub struct ResourceCache {
    latest: watch::Receiver<Option<Snapshot>>,
}

impl ResourceCache {
    /// A cache and the future that keeps it current. The future never ends: when the pipeline is gone, the last
    /// snapshot stays.
    pub fn follow(feed: Feed) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (sender, latest) = watch::channel(None);
        (Self { latest }, forward(feed, sender))
    }

    /// The latest snapshot.
    pub fn latest(&self) -> Option<Snapshot> {
        self.latest.borrow().clone()
    }

    /// Waits for a snapshot that this view has not taken yet, and takes it.
    pub async fn next(&mut self) -> Snapshot {
        loop {
            if self.latest.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            if let Some(snapshot) = self.latest.borrow_and_update().clone() {
                return snapshot;
            }
        }
    }

    /// A view to which the current snapshot is new.
    pub(super) fn fresh(&self) -> Self {
        let mut view = self.clone();
        view.latest.mark_changed();
        view
    }
}

async fn forward(mut feed: Feed, sender: watch::Sender<Option<Snapshot>>) {
    if feed.state.wait_for(|state| state.synced).await.is_ok() {
        loop {
            let set = feed.resources.borrow_and_update().clone();
            sender.send_replace(Some(Snapshot { set, published: tokio::time::Instant::now().into_std() }));
            if feed.resources.changed().await.is_err() {
                break;
            }
        }
    }
    tracing::error!("the configuration pipeline has ended; what it delivered last stays in use");
    std::future::pending().await
}
