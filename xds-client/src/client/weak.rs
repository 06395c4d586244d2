//! A handle that does not keep the client alive.

use std::fmt;
use std::sync::{Arc, Weak};

use super::{Inner, XdsClient};

/// A handle that does not keep the [`XdsClient`] alive, for metrics and status.
#[derive(Clone)]
pub struct WeakXdsClient {
    inner: Weak<Inner>,
}

impl WeakXdsClient {
    /// The client; `None` when the last handle and watch is gone.
    pub fn upgrade(&self) -> Option<XdsClient> {
        self.inner.upgrade().map(|inner| XdsClient { inner })
    }
}

impl XdsClient {
    /// A handle that does not keep the client alive. A watch does.
    pub fn downgrade(&self) -> WeakXdsClient {
        WeakXdsClient { inner: Arc::downgrade(&self.inner) }
    }
}

impl fmt::Debug for WeakXdsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakXdsClient").field("client", &self.upgrade()).finish()
    }
}
