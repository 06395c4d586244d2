//! The handle of a certificate provider.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{AbortHandle, Abortable};

use super::publication::{After, MaterialPublisher, Publication, Published};
use super::{Material, MaterialError};

/// Gives key material, and renews it. Users implement it for an agent or a secret store of their own.
pub trait CertificateProvider: fmt::Debug + Send + Sync + 'static {
    /// Publishes the material that it has as soon as it has it, or why it has none, and again at each renewal.
    ///
    /// The first handshake that needs the material starts the future on its runtime and waits for the first publication. The
    /// future is dropped with the last [`CertificateSource`] of this provider. If it ends before, what it has published stays in
    /// use, and the next handshake starts it again.
    fn run(&self, publisher: MaterialPublisher) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// A certificate provider, for configurations: a cheap handle. Two are equal if they are clones.
///
/// ```
/// use mesh_core::certificate::{CertificateSource, Identity, Material, MaterialError};
///
/// fn source(chain: &[u8], key: &[u8]) -> Result<CertificateSource, MaterialError> {
///     let identity = Identity::from_pem(chain, key)?;
///     Ok(CertificateSource::fixed("my-service", Material::default().with_identity(identity)))
/// }
/// ```
#[derive(Clone)]
pub struct CertificateSource(Arc<SourceInner>);

struct SourceInner {
    name: Arc<str>,
    provider: Option<Box<dyn CertificateProvider>>,
    publication: Arc<Publication>,
    running: Mutex<Option<Running>>,
}

/// The provider's future.
struct Running {
    abort: AbortHandle,
    /// Held by the future.
    alive: std::sync::Weak<()>,
}

impl CertificateSource {
    /// The material of this provider. `name` is for messages.
    pub fn new(name: impl Into<Arc<str>>, provider: impl CertificateProvider) -> Self {
        Self::with(name.into(), Some(Box::new(provider)))
    }

    /// Material that never changes.
    pub fn fixed(name: impl Into<Arc<str>>, material: Material) -> Self {
        let source = Self::with(name.into(), None);
        source.0.publication.set(material);
        source
    }

    /// No material, for this reason: each handshake fails with it.
    pub fn missing(name: impl Into<Arc<str>>, reason: impl Into<Arc<str>>) -> Self {
        Self::fixed(name, Material::missing(reason))
    }

    fn with(name: Arc<str>, provider: Option<Box<dyn CertificateProvider>>) -> Self {
        let publication = Arc::default();
        Self(Arc::new(SourceInner { name, provider, publication, running: Mutex::default() }))
    }

    /// The name that messages use.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The latest material; `None`: nothing has been published yet.
    pub(crate) fn latest(&self) -> Option<Published> {
        self.0.publication.latest()
    }

    /// Resolves once there is a later publication than `seen`; 0: the first.
    pub(crate) fn after(&self, seen: u64) -> After {
        self.0.publication.after(seen)
    }

    /// Starts the provider unless it runs.
    pub(crate) fn start(&self, spawn: impl FnOnce(Pin<Box<dyn Future<Output = ()> + Send>>)) {
        let Some(provider) = &self.0.provider else { return };
        let mut running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.as_ref().is_some_and(|running| running.alive.strong_count() > 0) {
            return;
        }
        let publication = self.0.publication.clone();
        let run = provider.run(MaterialPublisher(publication.clone()));
        let (abort, registration) = AbortHandle::new_pair();
        let alive = Arc::new(());
        *running = Some(Running { abort, alive: Arc::downgrade(&alive) });
        let name = self.0.name.clone();
        spawn(Box::pin(async move {
            let run = AssertUnwindSafe(run).catch_unwind();
            let ended = Abortable::new(run, registration).await;
            drop(alive);
            // Handshakes that wait for the first publication get an answer.
            if ended.is_ok() && publication.latest().is_none() {
                publication.set(Material::missing(format!("certificate provider {name:?} gave nothing")));
            }
        }));
    }

    /// An error of this source.
    pub(crate) fn error(&self, part: &str, reason: &MaterialError) -> MaterialError {
        MaterialError::new(format!("no {part} from certificate provider {:?}: {reason}", self.name()))
    }
}

impl PartialEq for CertificateSource {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for CertificateSource {}

impl Hash for CertificateSource {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl fmt::Debug for CertificateSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CertificateSource").field(&self.0.name).finish()
    }
}

impl Drop for SourceInner {
    fn drop(&mut self) {
        let running = self.running.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = running {
            running.abort.abort();
        }
    }
}
