//! The targets of a client, by the names in URLs.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use http::uri::Authority;
use http::{Method, Uri, request};
use mesh_core::Mesh;
use mesh_core::runtime::{Channel, ChannelSettings, Target};

use super::name::normalised;
use super::protocol::Http;
use super::{ClientError, fields};

/// The targets of a client, by their names, up to a maximum. A request finds its target without a lock.
#[derive(Debug)]
pub(super) struct Targets {
    mesh: Mesh,
    settings: ChannelSettings,
    max: NonZeroUsize,
    by_name: ArcSwap<HashMap<Box<str>, Arc<KnownTarget>>>,
    /// How many targets have been added.
    additions: AtomicU64,
    /// Held while one is added.
    adding: Mutex<()>,
}

/// A target that requests have named.
#[derive(Debug)]
pub(super) struct KnownTarget {
    pub(super) channel: Channel<Http>,
    /// How many targets had been added when it was used last: written once per addition, not once per request.
    used: AtomicU64,
}

impl Targets {
    pub(super) fn new(mesh: Mesh, settings: ChannelSettings, max: NonZeroUsize) -> Self {
        let (by_name, additions, adding) = (ArcSwap::default(), AtomicU64::new(0), Mutex::new(()));
        Self { mesh, settings, max, by_name, additions, adding }
    }

    /// The target of a request, whose URL gets the target's name.
    pub(super) fn of_request(&self, head: &mut request::Parts) -> Result<Arc<KnownTarget>, ClientError> {
        if head.method == Method::CONNECT {
            let text = "CONNECT asks for a tunnel, and the mesh makes none";
            return Err(ClientError::request(text));
        }
        let Some(authority) = head.uri.authority() else {
            return Err(ClientError::url(format!("the URL {} has no host", head.uri)));
        };
        match head.uri.scheme_str() {
            Some("http") => {}
            Some(scheme) => {
                let text = format!(
                    "{scheme}://{authority} is not for the mesh, which secures connections itself: write http://"
                );
                return Err(ClientError::url(text));
            }
            None => return Err(ClientError::url(format!("the URL {} has no scheme", head.uri))),
        }
        let known = self.by_name.load();
        let target = match known.get(authority.as_str()) {
            Some(target) => target.clone(),
            None => {
                let name = normalised(authority.as_str())
                    .ok_or_else(|| ClientError::url(format!("the URL {} names no host", head.uri)))?;
                let target = match known.get(&*name) {
                    Some(target) => target.clone(),
                    None => self.add(&name)?,
                };
                let name = (*name != *authority.as_str()).then(|| name.into_owned());
                if let Some(name) = name {
                    head.uri = renamed(&head.uri, &name)?;
                }
                target
            }
        };
        let additions = self.additions.load(Ordering::Relaxed);
        if target.used.load(Ordering::Relaxed) != additions {
            target.used.store(additions, Ordering::Relaxed);
        }
        if head.headers.contains_key(http::header::HOST) {
            fields::remove_host(&mut head.headers, &target.channel.target().name)?;
        }
        Ok(target)
    }

    /// Adds a target; if there are too many, the one goes that has been used least recently.
    fn add(&self, name: &str) -> Result<Arc<KnownTarget>, ClientError> {
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.by_name.load();
        if let Some(target) = known.get(name) {
            return Ok(target.clone());
        }
        let channel = Channel::new(&self.mesh, &Target::new(name), self.settings)
            .map_err(|error| ClientError::channel(name, error))?;
        let used = self.additions.fetch_add(1, Ordering::Relaxed) + 1;
        let target = Arc::new(KnownTarget { channel, used: AtomicU64::new(used) });
        let mut next = HashMap::clone(&known);
        while next.len() >= self.max.get() {
            let least = next.iter().min_by_key(|(_, target)| target.used.load(Ordering::Relaxed));
            let Some(least) = least.map(|(name, _)| name.clone()) else { break };
            next.remove(&least);
        }
        next.insert(name.into(), target.clone());
        self.by_name.store(Arc::new(next));
        Ok(target)
    }
}

/// The URL with another authority.
fn renamed(uri: &Uri, name: &str) -> Result<Uri, ClientError> {
    let mut parts = uri.clone().into_parts();
    let invalid = |_| ClientError::url(format!("the URL {uri} has a host that cannot be sent"));
    parts.authority = Some(name.parse::<Authority>().map_err(invalid)?);
    Uri::from_parts(parts).map_err(|_| ClientError::url(format!("the URL {uri} cannot be sent")))
}
