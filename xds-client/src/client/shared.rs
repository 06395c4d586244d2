//! The client that a process shares.

use std::sync::{Arc, Mutex, Weak};

use super::{Inner, StartError, XdsClient, lock, start};
use crate::bootstrap::Bootstrap;

/// The process's client, with the bootstrap from the environment; started when there is none.
///
/// It is not kept alive by this: when the last handle and watch is dropped it ends, and the next call starts another.
/// The same goes when the runtime that it ran on is gone.
///
/// # Errors
/// [`StartError`] outside a tokio runtime, and without a valid bootstrap in the environment.
pub fn shared() -> Result<XdsClient, StartError> {
    let mut shared = lock(&SHARED);
    if let Some(inner) = shared.upgrade().filter(|inner| inner.registry.is_alive()) {
        return Ok(XdsClient { inner });
    }
    let client = start(Bootstrap::from_env()?)?;
    *shared = Arc::downgrade(&client.inner);
    Ok(client)
}

static SHARED: Mutex<Weak<Inner>> = Mutex::new(Weak::new());
