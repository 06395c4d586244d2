//! Builds the model, step by step.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::aliases::aliases;
use super::endpoints::WorkloadIndex;
use super::made::Made;
use super::memory::Memory;
use super::reference::References;
use super::registry::ServiceRegistry;
use super::report::Report;
use super::router::Router;
use super::rules::Rules;
use super::service::Service;
use crate::kinds::Spec;
use crate::source::Sourced;
use crate::state::Diagnostic;

/// All services and objects in use, before translation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    /// By host.
    pub(crate) services: BTreeMap<String, Arc<Service>>,
    /// Every object in use, in the version that is in use.
    pub(crate) objects: Vec<Sourced>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// Builds the model of these objects, each of another id, whose order does not matter. `memory` has the objects in use before, and afterwards
/// those in use now.
pub(crate) fn build(objects: &[Sourced], memory: &mut Memory) -> Model {
    let mut report = Report::default();
    let mut objects = objects.to_vec();
    objects.sort_by(|left, right| left.object.id.cmp(&right.object.id));
    let registry = ServiceRegistry::new(&objects, &mut report);
    let mut used: Vec<Sourced> = objects.iter().filter(|one| is_base(one)).cloned().collect();
    let mut rules = Rules::new(&objects, &registry, memory, &mut used, &mut report);
    let references = References { registry: &registry, rules: &rules };
    let router = Router::new(&objects, references, memory, &mut used, &mut report);
    let named = router.named_subsets(references);
    rules.retain(named, memory);

    let services = services(&objects, &registry, &rules, &router, memory, &mut report);
    memory.accepted = used.iter().map(|one| (one.object.id.clone(), Arc::clone(&one.object))).collect();
    memory.subsets = rules.all_subsets();
    used.sort_by(|left, right| left.object.id.cmp(&right.object.id));
    Model { services, objects: used, diagnostics: report.diagnostics }
}

/// Objects without references are in use as they are.
fn is_base(one: &Sourced) -> bool {
    matches!(one.object.spec, Spec::ServiceEntry(_) | Spec::WorkloadEntry(_))
}

fn services(
    objects: &[Sourced],
    registry: &ServiceRegistry,
    rules: &Rules,
    router: &Router,
    memory: &mut Memory,
    report: &mut Report,
) -> BTreeMap<String, Arc<Service>> {
    let references = References { registry, rules };
    let mut workload_index = WorkloadIndex::new(objects);
    let mut aliases = aliases(registry, report);
    let mut services = BTreeMap::new();
    let mut before = std::mem::take(&mut memory.made);
    for (host, declaration) in registry.iter() {
        let (rule, selected) = (rules.get(host), workload_index.select(declaration));
        let made = Made::new(host, declaration, rule, selected, before.remove(host));
        report.diagnostics.extend_from_slice(made.diagnostics());
        let service = Service {
            host: host.clone(),
            aliases: aliases.remove(host).unwrap_or_default(),
            ports: router.ports(host, declaration, references, report),
            clusters: Arc::clone(made.clusters()),
            declared_by: declaration.object.id.clone(),
            ruled_by: rule.and_then(|rule| rule.id()).cloned(),
        };
        memory.made.insert(host.clone(), made);
        services.insert(host.clone(), Arc::new(service));
    }
    workload_index.report_unselected(report);
    services
}
