//! HTTP filters of a listener, and their overrides in parts of the routes (gRFC A39).

use std::sync::Arc;

use crate::filter::{ConfigValue, FilterConfig};

use super::Name;

/// A filter of a target's chain, under the name by which routes refer to it. Several may be of one type.
// HF-05
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FilterInstance {
    /// Its name in the chain.
    pub name: Name,
    /// Its configuration, which makes the filter.
    pub config: Arc<dyn FilterConfig>,
    /// It runs only where part of the routes switches it on.
    // LDS-11
    pub disabled: bool,
}

impl FilterInstance {
    /// A filter that runs for every call, unless part of the routes switches it off.
    pub fn new(name: impl Into<Name>, config: impl FilterConfig) -> Self {
        Self { name: name.into(), config: Arc::new(config), disabled: false }
    }

    /// The same with a configuration of any type.
    pub fn of(name: impl Into<Name>, config: Arc<dyn FilterConfig>) -> Self {
        Self { name: name.into(), config, disabled: false }
    }

    /// Switched off: it runs only where part of the routes switches it on.
    #[must_use]
    pub fn disabled(mut self) -> Self {
        self.disabled = true;
        self
    }
}

impl PartialEq for FilterInstance {
    fn eq(&self, other: &Self) -> bool {
        let Self { name, config, disabled } = self;
        let is_same = std::ptr::addr_eq(Arc::as_ptr(config), Arc::as_ptr(&other.config));
        *name == other.name
            && *disabled == other.disabled
            && (is_same || config.is_equal(&*other.config as &dyn ConfigValue))
    }
}

/// The override of one filter in a virtual host, a route or a weighted cluster.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum FilterOverride {
    /// The filter does not run there.
    // RDS-20
    Disabled,
    /// It runs there, with what else is configured, though the listener may have disabled it.
    Enabled,
    /// It runs there, and this is handed to it.
    Config(Arc<dyn ConfigValue>),
}

impl FilterOverride {
    /// It runs there with this configuration.
    pub fn config(config: impl ConfigValue) -> Self {
        Self::Config(Arc::new(config))
    }
}

impl PartialEq for FilterOverride {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Disabled, Self::Disabled) | (Self::Enabled, Self::Enabled) => true,
            (Self::Config(own), Self::Config(other)) => {
                std::ptr::addr_eq(Arc::as_ptr(own), Arc::as_ptr(other)) || own.is_equal(&**other)
            }
            _ => false,
        }
    }
}

/// The overrides of filters in a virtual host, a route or a weighted cluster, by the filters' names in the chain. A name
/// that the chain does not have has no effect.
// RDS-19
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FilterOverrides(Vec<(Name, FilterOverride)>);

impl FilterOverrides {
    /// No overrides.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Overrides a filter; replaces an earlier override of it.
    #[must_use]
    pub fn with(mut self, name: impl Into<Name>, said: FilterOverride) -> Self {
        let name = name.into();
        // in the order of names, so that equal overrides compare equal
        match self.0.binary_search_by(|(known, _)| known.cmp(&name)) {
            Ok(index) => self.0[index].1 = said,
            Err(index) => self.0.insert(index, (name, said)),
        }
        self
    }

    /// The override of a filter.
    pub fn of(&self, name: &str) -> Option<&FilterOverride> {
        let index = self.0.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?;
        Some(&self.0[index].1)
    }

    /// Whether there are no overrides.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(Name, FilterOverride)> for FilterOverrides {
    fn from_iter<I: IntoIterator<Item = (Name, FilterOverride)>>(entries: I) -> Self {
        entries.into_iter().fold(Self::new(), |all, (name, said)| all.with(name, said))
    }
}
