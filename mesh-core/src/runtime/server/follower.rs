//! Applies a server's configurations as they come.

use std::sync::Arc;

use crate::config::ServerConfig;
use crate::runtime::{ServerConfigState, ServerConfigWatch, SourceError};

use super::generation::{Generation, Scopes};
use super::state::{ServingState, Shared};

/// Applies a server's configurations as they come.
#[derive(Debug)]
pub(super) struct Follower {
    watch: ServerConfigWatch,
    /// Whether the source may still change something.
    is_open: bool,
    scopes: Scopes,
    shared: Arc<Shared>,
}

impl Follower {
    pub(super) fn new(watch: ServerConfigWatch, scopes: Scopes, shared: Arc<Shared>) -> Self {
        let mut follower = Self { watch, is_open: true, scopes, shared };
        follower.apply();
        follower
    }

    /// Waits for the next change and applies it. Dropping the future loses nothing.
    pub(super) async fn follow(&mut self) {
        if !self.is_open {
            std::future::pending::<()>().await;
        }
        self.is_open = self.watch.changed().await;
        if self.is_open {
            self.apply();
        }
    }

    fn apply(&mut self) {
        let ServerConfigState { config, .. } = self.watch.borrow_and_update();
        match config {
            None => {}
            Some(Ok(config)) => match self.misplaced(&config) {
                Some(error) => self.stop(error),
                None => self.serve(&config),
            },
            // SV-05, SV-07
            Some(Err(error)) => self.stop(error),
        }
    }

    fn serve(&mut self, config: &ServerConfig) {
        let last = self.shared.generation.load_full();
        match last.filter(|last| last.listener == *config.listener()) {
            // SV-09: an equal listener changes nothing
            Some(last) => last.update_routes(config),
            // SV-08
            None => {
                let generation = Generation::new(config, &mut self.scopes);
                self.scopes.keep(config.listener());
                self.shared.replace(Some(Arc::new(generation)));
            }
        }
        self.shared.set_state(ServingState::Serving);
    }

    fn stop(&self, error: SourceError) {
        self.shared.replace(None);
        self.shared.set_state(ServingState::NotServing(error));
    }

    /// SV-05: the configuration is for another address than the server's.
    fn misplaced(&self, config: &ServerConfig) -> Option<SourceError> {
        let (bound, meant) = (self.shared.address, config.listener().address?);
        let is_same = meant.ip() == bound.ip() && (meant.port() == bound.port() || meant.port() == 0);
        (!is_same).then(|| {
            let text = format!("the server's listener is for {meant}, and the server is bound to {bound}");
            SourceError::new(text)
        })
    }
}
