//! Short names of services.

use std::collections::BTreeMap;

use super::registry::{SUFFIX, ServiceRegistry};
use super::report::Report;
use crate::yaml::FieldPath;

/// Which short names mean which host: of `name.namespace.svc.cluster.local` the names `name.namespace.svc`,
/// `name.namespace` and `name`. A declared host is never a short name of another service. A `name` that several namespaces
/// have means the one in `default`, or nothing.
pub(super) fn aliases(registry: &ServiceRegistry, report: &mut Report) -> BTreeMap<String, Vec<String>> {
    let mut by_name: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    let mut aliases: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (host, _) in registry.iter() {
        let Some(short) = host.strip_suffix(SUFFIX) else { continue };
        let Some((name, namespace)) = short.split_once('.').filter(|(_, namespace)| !namespace.contains('.'))
        else {
            continue;
        };
        by_name.entry(name).or_default().push((namespace, host));
        let forms = [format!("{short}.svc"), short.to_owned()];
        aliases.insert(host.clone(), forms.into_iter().filter(|form| registry.get(form).is_none()).collect());
    }
    for (name, hosts) in by_name {
        if registry.get(name).is_some() {
            continue;
        }
        let chosen = match hosts.as_slice() {
            [(_, host)] => Some(*host),
            several => several.iter().find(|(namespace, _)| *namespace == "default").map(|(_, host)| *host),
        };
        match chosen {
            Some(host) => aliases.entry(host.to_owned()).or_default().push(name.to_owned()),
            None => warn(name, &hosts, registry, report),
        }
    }
    aliases
}

fn warn(name: &str, hosts: &[(&str, &str)], registry: &ServiceRegistry, report: &mut Report) {
    let namespaces = hosts.iter().map(|(namespace, _)| *namespace).collect::<Vec<_>>().join(", ");
    for (_, host) in hosts {
        let Some(declaration) = registry.get(host) else { continue };
        let path = FieldPath::spec().field("hosts").index(declaration.host_index);
        let message =
            format!("the short name `{name}` means nothing: the namespaces {namespaces} all have it");
        report.warning(&declaration.object, path, message);
    }
}
