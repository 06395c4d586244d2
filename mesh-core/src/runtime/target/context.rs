//! A target's name and settings, which its task and all its calls share.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::config::Name;
use crate::runtime::error::{Reason, TargetLabel};
use crate::runtime::mirror::MirrorRoom;
use crate::runtime::rng::Randomness;
use crate::runtime::timeout::Deadlines;
use crate::runtime::{MeshError, MeshErrorKind, QueueSettings, SourceError, Target};

/// A target's name and settings, which its task and all its calls share.
#[derive(Debug)]
pub(crate) struct TargetContext {
    pub(crate) target: Target,
    label: Arc<TargetLabel>,
    pub(crate) randomness: Arc<Randomness>,
    /// Where calls register their deadlines.
    pub(crate) deadlines: Arc<Deadlines>,
    /// What calls do while connections are full.
    pub(super) queue: QueueSettings,
    /// What mirrored requests may cost.
    pub(crate) mirrors: Arc<MirrorRoom>,
    ambient: ArcSwapOption<SourceError>,
}

impl TargetContext {
    pub(crate) fn new(
        target: Target,
        node: Name,
        randomness: Arc<Randomness>,
        deadlines: Arc<Deadlines>,
        queue: QueueSettings,
        mirrors: MirrorRoom,
    ) -> Self {
        let label = Arc::new(TargetLabel::new(&target, node));
        let (mirrors, ambient) = (Arc::new(mirrors), ArcSwapOption::empty());
        Self { target, label, randomness, deadlines, queue, mirrors, ambient }
    }

    /// A problem with the control plane that leaves the configuration in use.
    pub(crate) fn ambient(&self) -> Option<Arc<SourceError>> {
        self.ambient.load_full()
    }

    pub(super) fn set_ambient(&self, ambient: Option<SourceError>) {
        self.ambient.store(ambient.map(Arc::new));
    }

    /// An error that names this target, the node and the problem with the control plane (OB-23).
    pub(crate) fn error(&self, kind: MeshErrorKind, reason: impl Into<Reason>) -> MeshError {
        MeshError::new(kind, reason).for_target(&self.label, self.ambient())
    }
}
