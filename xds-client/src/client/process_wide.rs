//! The client that a process shares.

use std::sync::{Arc, Mutex, Weak};

use mesh_core::Mesh;
use mesh_core::runtime::WeakMesh;

use super::{ClientInner, Options, StartError, XdsClient, lock, start_with};
use crate::bootstrap::Bootstrap;
use crate::transport::GrpcTransport;

/// The process's client, with the bootstrap and the [options](Options::from_env) from the environment; started when there
/// is none.
///
/// This does not keep it alive: when the last handle and watch is dropped the client ends, and the next call starts another.
/// The same holds when its runtime has ended.
///
/// # Errors
/// [`StartError`] outside a tokio runtime, and without a valid bootstrap in the environment.
pub fn shared() -> Result<XdsClient, StartError> {
    let mut shared = lock(&SHARED);
    match alive(&shared) {
        Some(client) => Ok(client),
        None => begin(&mut shared, Options::from_env()),
    }
}

/// As [`shared`], with these options.
///
/// # Errors
/// As [`shared`], and [`StartError::OtherOptions`] when the client is running with others.
pub fn shared_with(options: Options) -> Result<XdsClient, StartError> {
    let mut shared = lock(&SHARED);
    match alive(&shared) {
        Some(client) if client.inner.options == options => Ok(client),
        Some(_) => Err(StartError::OtherOptions),
        None => begin(&mut shared, options),
    }
}

fn begin(shared: &mut Weak<ClientInner>, options: Options) -> Result<XdsClient, StartError> {
    let client = start_with(Bootstrap::from_env()?, GrpcTransport::new(&options), options)?;
    *shared = Arc::downgrade(&client.inner);
    Ok(client)
}

/// The client that [`shared`] returns, while it is in use. Starts none: for metrics and status.
pub fn running() -> Option<XdsClient> {
    alive(&lock(&SHARED))
}

fn alive(shared: &Weak<ClientInner>) -> Option<XdsClient> {
    let inner = shared.upgrade().filter(|inner| inner.registry.is_alive())?;
    Some(XdsClient { inner })
}

/// The process's mesh: configured by the [`shared`] client, and like it kept alive by its users.
///
/// All callers share its connections, and the counts of its circuit breakers.
///
/// # Errors
/// As [`shared`].
pub fn shared_mesh() -> Result<Mesh, StartError> {
    mesh_of(shared)
}

/// As [`shared_mesh`], with these options for the client.
///
/// # Errors
/// As [`shared_with`].
pub fn shared_mesh_with(options: Options) -> Result<Mesh, StartError> {
    mesh_of(|| shared_with(options))
}

fn mesh_of(client: impl FnOnce() -> Result<XdsClient, StartError>) -> Result<Mesh, StartError> {
    let mut shared_mesh = lock(&SHARED_MESH);
    let client = client()?;
    let current = Arc::downgrade(&client.inner);
    if let Some((of, mesh)) = &*shared_mesh
        && Weak::ptr_eq(of, &current)
        && let Some(mesh) = mesh.upgrade()
    {
        return Ok(mesh);
    }
    let mesh = Mesh::new(client);
    *shared_mesh = Some((current, mesh.downgrade()));
    Ok(mesh)
}

/// The client that it was made for, and the mesh.
static SHARED_MESH: Mutex<Option<(Weak<ClientInner>, WeakMesh)>> = Mutex::new(None);

static SHARED: Mutex<Weak<ClientInner>> = Mutex::new(Weak::new());
