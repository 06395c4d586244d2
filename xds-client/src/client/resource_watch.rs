//! A single resource, for users of the library: [`ResourceWatch`].

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use tokio::sync::watch;

use super::registry::ResourceGuard;
use crate::protocol::{Problem, ProblemKind, View};

/// A resource as it changes. Dropping it ends the watch.
pub struct ResourceWatch<V> {
    views: watch::Receiver<View>,
    _guard: ResourceGuard,
    value: PhantomData<fn() -> V>,
}

/// A resource at one moment.
// TR-31
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResourceView<V> {
    /// `None`: not known yet. An error: there is no value, and the value before must not be used any more.
    pub value: Option<Result<Arc<V>, Problem>>,
    /// A problem that leaves the value in use.
    pub ambient: Option<Problem>,
}

impl<V: Send + Sync + 'static> ResourceWatch<V> {
    pub(super) fn new(mut views: watch::Receiver<View>, guard: ResourceGuard) -> Self {
        views.mark_changed();
        Self { views, _guard: guard, value: PhantomData }
    }

    /// The current view; [`changed`](Self::changed) then waits for the next one.
    pub fn borrow_and_update(&mut self) -> ResourceView<V> {
        let View { value, ambient, .. } = self.views.borrow_and_update().clone();
        let value = value.map(|value| {
            value.and_then(|any| {
                any.downcast::<V>().map_err(|_| {
                    let expected = std::any::type_name::<V>();
                    Problem::new(ProblemKind::Rejected, format!("is not decoded as {expected}"))
                })
            })
        });
        ResourceView { value, ambient }
    }

    /// Waits for the next view. `false`: the client has ended, and the current view stays.
    pub async fn changed(&mut self) -> bool {
        self.views.changed().await.is_ok()
    }
}

impl<V> fmt::Debug for ResourceWatch<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceWatch").field("view", &*self.views.borrow()).finish_non_exhaustive()
    }
}
