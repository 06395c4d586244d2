//! Finds the virtual host of a target.

use std::sync::Arc;

use mesh_core::config::{DomainPattern, VirtualHost};

/// RT-01: the best match over all virtual hosts: exact before suffix before prefix before `*`, then the longest
/// pattern, then the first. RT-02: without regard to ASCII case. RT-03: a `*` stands for at least one character.
pub(super) fn best<'a>(hosts: &'a [Arc<VirtualHost>], authority: &str) -> Option<&'a Arc<VirtualHost>> {
    // RT-04: as given in the target, with its port.
    let authority = authority.to_ascii_lowercase();
    let mut best = None;
    for host in hosts {
        let fit = host.domains.iter().filter_map(|domain| fit(domain, &authority)).max();
        if fit > best.map(|(fit, _)| fit) {
            best = fit.map(|fit| (fit, host));
        }
    }
    best.map(|(_, host)| host)
}

/// How well a pattern fits; greater is better.
fn fit(domain: &DomainPattern, authority: &str) -> Option<(u8, usize)> {
    let wild = |pattern: &str, fits: bool| fits && pattern.len() < authority.len();
    match domain {
        DomainPattern::Exact(name) => (name == authority).then_some((3, name.len())),
        DomainPattern::Suffix(suffix) => {
            wild(suffix, authority.ends_with(suffix.as_str())).then_some((2, suffix.len()))
        }
        DomainPattern::Prefix(prefix) => {
            wild(prefix, authority.starts_with(prefix.as_str())).then_some((1, prefix.len()))
        }
        DomainPattern::Any => Some((0, 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(domains: &[&str]) -> Arc<VirtualHost> {
        let domains = domains.iter().map(|domain| DomainPattern::parse(domain).unwrap());
        Arc::new(VirtualHost::new("", domains.collect(), Vec::new()))
    }

    #[test]
    fn best_domain_wins() {
        let hosts = [
            &["*"][..],
            &["a.*", "a.b.*"],
            &["*.c"],
            &["*.b.c", "x"],
            &["A.b.C"],
            &["a.b.c"],
            &["*-d", "d:80"],
        ];
        let hosts: Vec<_> = hosts.into_iter().map(host).collect();
        let rows = [
            ("exact, the first of two", "a.b.c", 4),
            ("in any case", "A.B.C", 4),
            ("the longest suffix", "z.b.c", 3),
            ("a suffix before a prefix", "a.b.z.c", 2),
            ("the longest prefix", "a.b.z", 1),
            ("anything", "other", 0),
            ("a star is not empty", "-d", 0),
            ("with its port", "d:80", 6),
            ("port and all", "d:81", 0),
        ];
        for (row, authority, expected) in rows {
            let best = best(&hosts, authority).unwrap();
            assert!(Arc::ptr_eq(best, &hosts[expected]), "{row}: {best:?}");
        }
        assert!(best(&hosts[1..2], "z").is_none(), "none fits");
    }
}
