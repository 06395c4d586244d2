//! The connections of one endpoint (gRFC A105).

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, select_ok};
use tokio::sync::Notify;

use crate::runtime::connect::{Connection, Reserve};

/// The open connections of one endpoint, oldest first: one, unless its calls need more.
pub(super) struct Connections<T> {
    first: T,
    further: Box<[T]>,
    /// Requests another connection; `None`: the maximum is reached, or one is being made.
    more: Option<Arc<Notify>>,
    address: SocketAddr,
}

impl<T> Connections<T> {
    /// Connections to this address. `None`: there are none.
    pub(super) fn new(
        address: SocketAddr,
        all: impl IntoIterator<Item = T>,
        more: Option<Arc<Notify>>,
    ) -> Option<Self> {
        let mut all = all.into_iter();
        Some(Self { first: all.next()?, further: all.collect(), more, address })
    }

    /// The address to which they go.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The oldest one.
    #[cfg(test)]
    pub(super) fn first(&self) -> &T {
        &self.first
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.first).chain(&self.further)
    }
}

impl<T: Connection> Connections<T> {
    /// LB-78: reserves room on the oldest connection that has some. If none has, requests another connection.
    pub(super) fn reserve(&self) -> Reserve<T::Place> {
        let mut is_full = false;
        for connection in self.iter() {
            match connection.reserve() {
                Reserve::Place(place) => return Reserve::Place(place),
                Reserve::Full => is_full = true,
                Reserve::Closed => {}
            }
        }
        if !is_full {
            return Reserve::Closed;
        }
        if let Some(more) = &self.more {
            more.notify_one();
        }
        Reserve::Full
    }

    /// Waits for room on any of the connections, without keeping them open. `None`: all have closed.
    pub(super) fn wait_for_place(&self) -> impl Future<Output = Option<T::Place>> + Send + use<T> {
        let waiting: Vec<_> = self
            .iter()
            .map(|connection| {
                let place: BoxFuture<'static, _> = connection.wait_for_place().boxed();
                place.map(|place| place.ok_or(()))
            })
            .collect();
        async move { select_ok(waiting).await.ok().map(|(place, _)| place) }
    }
}

impl<T: fmt::Debug> fmt::Debug for Connections<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
