//! The meaning of host names in objects.

/// The suffix that completes `name.namespace`.
pub(super) const SUFFIX: &str = ".svc.cluster.local";

/// The hosts that a name in an Istio object of `namespace` may mean; the first one that is declared is meant. Hosts are
/// compared without case. A name without a dot is one of the namespace, else a declared host; `name.namespace` and
/// `name.namespace.svc` are completed if they are not declared as such.
pub(super) fn candidates(name: &str, namespace: &str) -> [String; 2] {
    let name = name.to_ascii_lowercase();
    match name.matches('.').count() {
        0 => [format!("{name}.{namespace}{SUFFIX}"), name],
        1 => [name.clone(), format!("{name}{SUFFIX}")],
        _ => [name.clone(), format!("{name}.cluster.local")],
    }
}

/// The host of a name that means no declared service.
pub(super) fn complete(name: &str, namespace: &str) -> String {
    let name = name.to_ascii_lowercase();
    if name.contains('.') { name } else { format!("{name}.{namespace}{SUFFIX}") }
}

/// Name and namespace in `name.namespace.svc.cluster.local`.
pub(super) fn cluster_local(host: &str) -> Option<(&str, &str)> {
    let (name, namespace) = host.strip_suffix(SUFFIX)?.split_once('.')?;
    (!namespace.contains('.')).then_some((name, namespace))
}

/// Whether a host stands for several, as `*.example.com` and `*`.
pub(super) fn is_wildcard(host: &str) -> bool {
    host.starts_with('*')
}

/// Whether a wildcard covers a host.
pub(super) fn covers(wildcard: &str, host: &str) -> bool {
    wildcard.strip_prefix('*').is_some_and(|suffix| host.len() > suffix.len() && host.ends_with(suffix))
}

/// The wildcards that may cover a host, the most specific one first.
pub(super) fn wildcards_of(host: &str) -> impl Iterator<Item = String> {
    let suffixes = host.match_indices('.').map(|(dot, _)| format!("*{}", &host[dot..]));
    suffixes.chain(std::iter::once("*".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcard_covers_whole_labels_below_it() {
        let rows = [
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "aexample.com", false),
            ("*", "a", true),
        ];
        for (wildcard, host, expected) in rows {
            assert_eq!(covers(wildcard, host), expected, "{wildcard} {host}");
            assert_eq!(wildcards_of(host).any(|one| one == wildcard), expected, "{wildcard} {host}");
        }
        assert_eq!(wildcards_of("a.b.c").collect::<Vec<_>>(), ["*.b.c", "*.c", "*"]);
    }
}
