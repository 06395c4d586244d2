//! From a configuration to the chains of its routes.

use std::collections::HashMap;
use std::sync::Arc;

use http::{StatusCode, request};

use crate::config::{
    FilterInstance, FilterOverride, FilterOverrides, HeaderMutations, MeshConfig, MutationOrder, Name,
};

use crate::counters::CounterStore;

use super::chain::FilterChain;
use super::context::FilterStates;
use super::header_mutation::HeaderMutationFilter;
use super::{
    BuildError, ConfigValue, FilterCall, FilterContext, HttpFilter, LocalReply, Overrides, RemoteKeySets,
    RequestAction, Stages,
};

/// Makes the chains of one configuration; routes and clusters for which nothing differs share theirs.
pub(crate) struct ChainCompiler<'a> {
    filters: &'a [FilterInstance],
    headers: &'a HeaderMutations,
    order: MutationOrder,
    scope: &'a FilterScope,
    known: HashMap<Key, Option<Arc<FilterChain>>>,
    places: Places,
}

/// The names of the parts of the routes that override filters, by the addresses of their overrides.
#[derive(Default)]
struct Places {
    by_override: HashMap<usize, Name>,
    used: HashMap<(Name, String), u32>,
}

impl Places {
    /// The name of the most specific part that overrides a filter; empty if none does. Parts with the same name get numbers.
    fn of(&mut self, filter: &Name, handed: Handed<'_>, levels: &[Level<'_>]) -> Name {
        let Some(depth) = handed.iter().rposition(Option::is_some) else { return Name::default() };
        let Some(Some(config)) = handed.get(depth) else { return Name::default() };
        let address = std::ptr::from_ref::<dyn ConfigValue>(*config).addr();
        if let Some(known) = self.by_override.get(&address) {
            return known.clone();
        }
        let names: Vec<&str> = levels.iter().take(depth + 1).map(|level| level.name).collect();
        let name = names.join("/");
        let count = self.used.entry((filter.clone(), name.clone())).or_default();
        *count += 1;
        let name: Name = if *count == 1 { name.into() } else { format!("{name}#{count}").into() };
        self.by_override.insert(address, name.clone());
        name
    }
}

/// Where filters of a target keep what survives updates.
#[derive(Debug, Clone, Default)]
pub(crate) struct FilterScope {
    target: Arc<FilterStates>,
    mesh: Arc<FilterStates>,
    counters: Arc<CounterStore>,
    remote_keys: Option<Arc<dyn RemoteKeySets>>,
}

impl FilterScope {
    /// A scope for a mesh with this store of counters.
    pub(crate) fn new(counters: Arc<CounterStore>) -> Self {
        Self { counters, ..Self::default() }
    }

    /// The counters of the mesh.
    pub(crate) fn counters(&self) -> &Arc<CounterStore> {
        &self.counters
    }

    /// A scope for a target of the same mesh.
    pub(crate) fn of_target(&self) -> Self {
        Self { target: Arc::default(), ..self.clone() }
    }

    /// With what fetches key sets, on servers.
    pub(crate) fn with_remote_keys(self, remote_keys: Arc<dyn RemoteKeySets>) -> Self {
        Self { remote_keys: Some(remote_keys), ..self }
    }
}

/// The filter settings of a virtual host, a route or a weighted cluster.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Level<'a> {
    /// For state that belongs to this part of the routes.
    pub(crate) name: &'a str,
    pub(crate) filters: &'a FilterOverrides,
    pub(crate) headers: &'a HeaderMutations,
}

/// What makes a chain different from another one of the same configuration: the settings of each level for each filter and for
/// headers, by the addresses of configured values. Those live as long as the compiler.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    filters: Vec<Option<[usize; 3]>>,
    headers: [usize; 3],
}

/// What the levels say of one filter that runs.
type Handed<'a> = [Option<&'a dyn ConfigValue>; 3];

impl<'a> ChainCompiler<'a> {
    pub(crate) fn new(config: &'a MeshConfig, scope: &'a FilterScope) -> Self {
        Self::of(config.filters(), (config.headers(), config.header_order()), scope)
    }

    /// For these filters, and these changes of the headers of every call.
    pub(crate) fn of(
        filters: &'a [FilterInstance],
        (headers, order): (&'a HeaderMutations, MutationOrder),
        scope: &'a FilterScope,
    ) -> Self {
        Self { filters, headers, order, scope, known: HashMap::new(), places: Places::default() }
    }

    /// The chain for calls of these levels: virtual host, route, and weighted cluster if there is one. `None`: there
    /// is nothing to do.
    pub(crate) fn chain(&mut self, levels: &[Level<'_>]) -> Option<Arc<FilterChain>> {
        let handed: Vec<_> = self.filters.iter().map(|filter| handed(filter, levels)).collect();
        let mut headers = [0; 3];
        for (place, level) in headers.iter_mut().zip(levels) {
            *place = if level.headers.is_empty() { 0 } else { std::ptr::from_ref(level.headers).addr() };
        }
        let address =
            |value: Option<&dyn ConfigValue>| value.map_or(0, |value| std::ptr::from_ref(value).addr());
        let filters = handed.iter().map(|handed| handed.map(|handed| handed.map(address))).collect();
        let key = Key { filters, headers };
        if let Some(chain) = self.known.get(&key) {
            return chain.clone();
        }
        let mut made: Vec<_> = Vec::with_capacity(handed.len());
        for (filter, handed) in self.filters.iter().zip(&handed) {
            let Some(handed) = *handed else { continue };
            let place = self.places.of(&filter.name, handed, levels);
            made.extend(self.make(filter, handed, place));
        }
        let chain = FilterChain::new(made.into_iter().chain(self.route_headers(levels))).map(Arc::new);
        self.known.insert(key, chain.clone());
        chain
    }

    fn make(&self, filter: &FilterInstance, handed: Handed<'_>, place: Name) -> Option<Arc<dyn HttpFilter>> {
        let FilterScope { target, mesh, counters, remote_keys } = self.scope;
        let context = FilterContext::of(filter.name.clone(), target.clone(), mesh.clone(), counters.clone());
        let context = context.at(place).with_remote_keys(remote_keys.clone());
        let [virtual_host, route, cluster] = handed;
        match filter.config.build(Overrides::new(virtual_host, route, cluster), &context) {
            Ok(made) => made,
            Err(error) => Some(Arc::new(Refusal::new(&filter.name, &error))),
        }
    }

    /// RT-66: what a router does with headers, after all filters.
    fn route_headers(&self, levels: &[Level<'_>]) -> Option<Arc<dyn HttpFilter>> {
        let least_first = std::iter::once(self.headers).chain(levels.iter().map(|level| level.headers));
        let filter = HeaderMutationFilter::new(least_first.collect(), self.order)?;
        Some(Arc::new(filter))
    }
}

/// What each level hands to a filter; `None` when it does not run there.
fn handed<'a>(filter: &FilterInstance, levels: &[Level<'a>]) -> Option<Handed<'a>> {
    let mut runs = !filter.disabled;
    let mut handed: Handed<'_> = [None; 3];
    // HF-01: the most specific level with a setting decides whether it runs
    for (place, level) in handed.iter_mut().zip(levels) {
        match level.filters.of(&filter.name) {
            None => {}
            // RDS-20
            Some(FilterOverride::Disabled) => runs = false,
            Some(FilterOverride::Enabled) => runs = true,
            Some(FilterOverride::Config(config)) => {
                runs = true;
                *place = Some(&**config);
            }
        }
    }
    runs.then_some(handed)
}

/// Fails every call: the filter that should stand here could not be made, and may have been there to protect something.
#[derive(Debug)]
pub(super) struct Refusal {
    message: Arc<str>,
}

impl Refusal {
    pub(super) fn new(filter: &str, error: &BuildError) -> Self {
        Self { message: format!("filter {filter:?} cannot be made: {error}").into() }
    }
}

impl HttpFilter for Refusal {
    fn stages(&self) -> Stages {
        Stages::REQUEST
    }

    fn on_request(&self, _: &mut request::Parts, _: &mut FilterCall<'_>) -> RequestAction {
        RequestAction::Reply(LocalReply::http(StatusCode::SERVICE_UNAVAILABLE, self.message.clone()))
    }
}
