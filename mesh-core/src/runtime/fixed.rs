//! A configuration without a control plane.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::config::MeshConfig;

use super::{ConfigSource, ConfigState, ConfigWatch, SourceError, Target};

/// Configurations by target name, given by the program itself. Changes reach running channels.
///
/// Clones share their configurations, so that one can be kept to change them.
#[derive(Debug, Clone, Default)]
pub struct FixedSource {
    any: Option<Arc<MeshConfig>>,
    targets: Arc<Mutex<HashMap<String, watch::Sender<ConfigState>>>>,
}

impl FixedSource {
    /// No target has a configuration yet; channels to unknown targets cannot be built.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every target without a configuration of its own has this one.
    pub fn any(config: MeshConfig) -> Self {
        Self { any: Some(Arc::new(config)), ..Self::default() }
    }

    /// Gives a target its configuration, now and for channels to come.
    pub fn set(&self, name: impl Into<String>, config: MeshConfig) {
        self.update(name, |state| state.config = Some(Ok(Arc::new(config))));
    }

    /// Takes a target's configuration away: its calls fail with this error.
    pub fn fail(&self, name: impl Into<String>, error: SourceError) {
        self.update(name, |state| state.config = Some(Err(error)));
    }

    /// Reports trouble that leaves the configuration in use, or its end.
    pub fn set_ambient(&self, name: impl Into<String>, error: Option<SourceError>) {
        self.update(name, |state| state.ambient = error);
    }

    fn update(&self, name: impl Into<String>, change: impl FnOnce(&mut ConfigState)) {
        let mut targets = self.lock();
        let state = targets.entry(name.into()).or_insert_with(|| watch::Sender::new(self.initial()));
        state.send_modify(change);
    }

    fn initial(&self) -> ConfigState {
        ConfigState { config: self.any.clone().map(Ok), ambient: None }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, watch::Sender<ConfigState>>> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConfigSource for FixedSource {
    fn watch(&self, target: &Target) -> Result<ConfigWatch, SourceError> {
        let mut targets = self.lock();
        if self.any.is_some() {
            targets.entry(target.name.clone()).or_insert_with(|| watch::Sender::new(self.initial()));
        }
        match targets.get(&target.name) {
            Some(state) => Ok(ConfigWatch::new(state.subscribe(), self.targets.clone())),
            None => Err(SourceError::new(format!("{target} has no configuration"))),
        }
    }
}
