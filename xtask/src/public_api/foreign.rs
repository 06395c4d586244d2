//! Which other crates may show in public signatures: those that keep their types compatible.

use super::listing::Listing;

/// Crates of version 1, and two whose 0.x versions the whole ecosystem shares: `tower-service` and `tracing`.
const SETTLED: &[&str] = &[
    "alloc",
    "bytes",
    "core",
    "http",
    "http_body",
    "hyper",
    "regex",
    "serde_json",
    "std",
    "tokio",
    "tower_layer",
    "tower_service",
    "tracing",
];

/// What a crate may show besides.
const ALLOWED: &[(&str, &[&str])] = &[
    ("xds-client", &["mesh_core"]),
    ("mesh-tonic", &["mesh_core", "tonic", "xds_client"]),
    ("mesh-hyper", &["mesh_core", "xds_client"]),
];

/// These crates never show protobuf, and no exception is possible: a new version of it must not break their users.
const WITHOUT_PROTOBUF: &[&str] = &["mesh-core", "mesh-tonic", "mesh-hyper"];
const PROTOBUF: &[&str] = &["prost", "prost_types", "xds_proto"];

/// Types that are shown although their crate may break them.
struct Exception {
    shown_by: &'static str,
    foreign: &'static str,
    /// Beginning of the paths that show it.
    within: &'static [&'static str],
}

const EXCEPTIONS: &[Exception] = &[
    // Balancers and pickers, a user's too, and backoffs get their randomness as an argument.
    Exception { shown_by: "mesh-core", foreign: "rand", within: &["policy::backoff::", "policy::lb::"] },
    // Resource types and transports of a user's own handle the protocol's messages.
    Exception { shown_by: "xds-client", foreign: "xds_proto", within: &["resource::", "transport::"] },
    // Metrics and spans go to a meter and a tracer of the user's.
    Exception {
        shown_by: "mesh-core",
        foreign: "opentelemetry",
        within: &["observe::CallMetrics", "observe::CallSpans", "observe::ServerMetrics"],
    },
    Exception { shown_by: "xds-client", foreign: "opentelemetry", within: &["XdsClient"] },
];

/// One text for each type that `listing` may not show, and for each exception that no signature needs.
pub(super) fn problems(name: &str, listing: &Listing) -> Vec<String> {
    let allowed = ALLOWED.iter().find(|(of, _)| *of == name).map_or(&[][..], |(_, allowed)| allowed);
    let mut used = vec![false; EXCEPTIONS.len()];
    let mut problems = Vec::new();
    for (path, block) in &listing.blocks {
        for shown in &block.foreign {
            let foreign = shown.split("::").next().unwrap_or(shown);
            let is_protobuf = WITHOUT_PROTOBUF.contains(&name) && PROTOBUF.contains(&foreign);
            if !is_protobuf && (SETTLED.contains(&foreign) || allowed.contains(&foreign)) {
                continue;
            }
            let exception = EXCEPTIONS.iter().position(|exception| {
                exception.shown_by == name
                    && exception.foreign == foreign
                    && exception.within.iter().any(|within| path.starts_with(within))
            });
            match exception {
                Some(index) if !is_protobuf => used[index] = true,
                _ => problems
                    .push(format!("`{}` shows {shown}; {name} may not show types of {foreign}", block.head)),
            }
        }
    }
    for (exception, is_used) in EXCEPTIONS.iter().zip(used) {
        if exception.shown_by == name && !is_used {
            let text = format!("nothing shows {} any more; remove the exception", exception.foreign);
            problems.push(format!("{text} from xtask/src/public_api/foreign.rs"));
        }
    }
    problems
}
