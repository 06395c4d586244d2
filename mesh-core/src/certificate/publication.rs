//! The latest material of a provider, and who waits for another.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::Material;

/// Takes the material of a [`CertificateProvider`](super::CertificateProvider); handshakes that begin afterwards use it.
#[derive(Clone)]
pub struct MaterialPublisher(pub(super) Arc<Publication>);

impl MaterialPublisher {
    /// Replaces the material.
    ///
    /// A provider whose renewal has failed publishes the last good material again, or nothing.
    ///
    /// Open connections whose peer the new roots do not accept are ended at once. Roots that are an error accept and withdraw
    /// nothing: handshakes fail with it, and open connections go on.
    pub fn publish(&self, material: Material) {
        self.0.set(material);
    }
}

impl fmt::Debug for MaterialPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaterialPublisher")
    }
}

/// The latest material.
#[derive(Default)]
pub(super) struct Publication(Mutex<State>);

#[derive(Default)]
struct State {
    latest: Option<Published>,
    /// One for each open connection that watches its peer, for example.
    waiting: HashMap<u64, Waker>,
    next_waiter: u64,
}

/// Material with the number of its publication, from 1.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) number: u64,
    pub(crate) material: Arc<Material>,
}

impl Publication {
    pub(super) fn latest(&self) -> Option<Published> {
        self.lock().latest.clone()
    }

    pub(super) fn set(&self, material: Material) {
        let waiting = {
            let mut state = self.lock();
            let number = state.latest.as_ref().map_or(0, |latest| latest.number) + 1;
            state.latest = Some(Published { number, material: Arc::new(material) });
            std::mem::take(&mut state.waiting)
        };
        waiting.into_values().for_each(Waker::wake);
    }

    /// Resolves once there is a later publication than `seen`; 0: the first.
    pub(super) fn after(self: &Arc<Self>, seen: u64) -> After {
        let id = {
            let mut state = self.lock();
            state.next_waiter += 1;
            state.next_waiter
        };
        After { publication: self.clone(), seen, id }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resolves to a later publication.
pub(crate) struct After {
    publication: Arc<Publication>,
    seen: u64,
    id: u64,
}

impl Future for After {
    type Output = Published;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Published> {
        let mut state = self.publication.lock();
        if let Some(latest) = state.latest.as_ref().filter(|latest| latest.number > self.seen) {
            return Poll::Ready(latest.clone());
        }
        state.waiting.insert(self.id, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for After {
    fn drop(&mut self) {
        self.publication.lock().waiting.remove(&self.id);
    }
}
