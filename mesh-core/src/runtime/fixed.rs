//! A configuration without a control plane.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::config::MeshConfig;

use super::{ConfigSource, ConfigState, ConfigWatch, SourceError, Target};

/// Configurations by target name, set by the program itself. Running channels follow changes.
///
/// Clones share their configurations, so that one can be kept to change them:
///
/// ```
/// use mesh_core::Mesh;
/// use mesh_core::config::MeshConfig;
/// use mesh_core::runtime::FixedSource;
///
/// let source = FixedSource::new();
/// source.set("greeter", MeshConfig::to_endpoints("greeter", ["127.0.0.1:50051".parse()?]));
/// let mesh = Mesh::new(source.clone());
/// // later: running channels follow
/// source.set("greeter", MeshConfig::to_endpoints("greeter", ["127.0.0.1:50052".parse()?]));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
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

    /// Only the target of `config` ([`MeshConfig::target`]) has a configuration. Use [`any`](Self::any) for a configuration
    /// without a target.
    pub fn only(config: MeshConfig) -> Self {
        let Some(target) = config.target().map(ToString::to_string) else { return Self::any(config) };
        let source = Self::new();
        source.set(target, config);
        source
    }

    /// Every target without a configuration of its own has this one, also a mistyped one.
    pub fn any(config: MeshConfig) -> Self {
        Self { any: Some(Arc::new(config)), ..Self::default() }
    }

    /// Sets a target's configuration, for running and for later channels.
    pub fn set(&self, name: impl Into<String>, config: MeshConfig) {
        self.update(name, |state| state.config = Some(Ok(Arc::new(config))));
    }

    /// Removes a target's configuration: its calls fail with this error.
    pub fn fail(&self, name: impl Into<String>, error: SourceError) {
        self.update(name, |state| state.config = Some(Err(error)));
    }

    /// Reports a problem that leaves the configuration in use; `None`: the problem is over.
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
            None => Err(SourceError::absent(unknown(&target.name, targets.keys().map(String::as_str)))),
        }
    }
}

/// A text that lists the targets, those with a name like `name` first.
fn unknown<'t>(name: &str, targets: impl Iterator<Item = &'t str>) -> String {
    let mut known: Vec<(usize, &str)> = targets.map(|known| (distance(name, known), known)).collect();
    known.sort_unstable();
    let Some((nearest, suggestion)) = known.first() else {
        return "this mesh has no configuration for any target".to_owned();
    };
    let shown: Vec<_> = known.iter().take(SHOWN).map(|(_, known)| format!("{known:?}")).collect();
    let mut text = format!("this mesh has no configuration for {name:?}, only for {}", shown.join(", "));
    if known.len() > SHOWN {
        _ = write!(text, " and {} more", known.len() - SHOWN);
    }
    if *nearest <= name.len() / 3 {
        _ = write!(text, "; did you mean {suggestion:?}?");
    }
    text
}

/// How many letters have to be added, removed or replaced to make one text of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (above, letter) in one.chars().enumerate() {
        let mut diagonal = above;
        row[0] = above + 1;
        for (at, candidate) in other.chars().enumerate() {
            let replaced = diagonal + usize::from(letter != candidate);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(row[at] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

/// How many targets an error names.
const SHOWN: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn config(target: &str) -> MeshConfig {
        MeshConfig::to_endpoints(target, [])
    }

    #[test]
    fn distances_count_letters() {
        for (one, other, expected) in
            [("", "", 0), ("", "abc", 3), ("greter", "greeter", 1), ("cart", "card", 1), ("abc", "cab", 2)]
        {
            assert_eq!(distance(one, other), expected, "{one} {other}");
            assert_eq!(distance(other, one), expected, "{other} {one}");
        }
    }

    #[test]
    fn mistyped_target_is_refused_with_the_names_that_are_near() {
        let two = FixedSource::only(config("greeter"));
        two.set("cart", config("cart"));
        let many = FixedSource::new();
        (0..8).for_each(|at| many.set(format!("cart-{at}"), config("cart")));
        for (source, target, text) in [
            (FixedSource::new(), "greeter", "this mesh has no configuration for any target"),
            (
                FixedSource::only(config("greeter")),
                "greter",
                "this mesh has no configuration for \"greter\", only for \"greeter\"; did you mean \"greeter\"?",
            ),
            (two, "x", "this mesh has no configuration for \"x\", only for \"cart\", \"greeter\""),
            (
                many,
                "cart-9",
                "this mesh has no configuration for \"cart-9\", only for \"cart-0\", \"cart-1\", \"cart-2\", \
                 \"cart-3\", \"cart-4\" and 3 more; did you mean \"cart-0\"?",
            ),
        ] {
            assert_eq!(source.watch(&Target::new(target)).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn configuration_for_no_target_in_particular_serves_any() {
        let parts = MeshConfig::new(Vec::new(), HashMap::new(), None).unwrap();
        assert!(FixedSource::only(parts.clone()).watch(&Target::new("anything")).is_ok());
        assert!(FixedSource::only(parts.for_target("cart")).watch(&Target::new("anything")).is_err());
        assert!(FixedSource::any(config("greeter")).watch(&Target::new("anything")).is_ok());
    }
}
