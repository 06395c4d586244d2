//! Short names of services.

use super::index::Reader;
use super::key::{Key, hosts};
use super::name::cluster_local;

/// The short names that mean a host: of `name.namespace.svc.cluster.local` the names `name.namespace.svc`, `name.namespace` and
/// `name`. A declared host is never a short name of another service. A `name` that several namespaces have means the one in
/// `default`, or nothing.
pub(super) fn aliases(host: &str, reader: &Reader<'_>) -> Vec<String> {
    let Some((name, namespace)) = cluster_local(host) else { return Vec::new() };
    let forms = [format!("{name}.{namespace}.svc"), format!("{name}.{namespace}")];
    let mut aliases: Vec<String> = forms.into_iter().filter(|form| !reader.is_declared(form)).collect();
    if !reader.is_declared(name) && (namespaces(name, reader).len() == 1 || namespace == "default") {
        aliases.push(name.to_owned());
    }
    aliases
}

/// The namespaces whose services are called `name`.
pub(super) fn namespaces(name: &str, reader: &Reader<'_>) -> Vec<String> {
    let mut namespaces = Vec::new();
    for one in reader.objects(&Key::ShortName(name.to_owned())) {
        for host in hosts(&one.object) {
            let Some((short, namespace)) = cluster_local(&host) else { continue };
            if short == name && !namespaces.iter().any(|known| known == namespace) {
                namespaces.push(namespace.to_owned());
            }
        }
    }
    namespaces.sort_unstable();
    namespaces
}
