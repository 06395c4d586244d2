//! What this library counts.

use super::CounterFamily;

/// All families of this library; filters of a user may count others. A new one gets a row in docs/xds-client.md, too.
pub const FAMILIES: &[&CounterFamily] = &[
    &AUTHORIZATIONS,
    &TOKENS,
    &EXTERNAL_CHECKS,
    &RATE_LIMITED_CALLS,
    &MIRRORED_REQUESTS,
    &SKIPPED_MIRRORS,
    &CLIENT_HANDSHAKES,
    &SERVER_HANDSHAKES,
    &ENDED_CONNECTIONS,
    &HEALTH_CHECKS,
];

/// Calls that a rate limit has looked at.
pub(crate) const RATE_LIMITED_CALLS: CounterFamily = CounterFamily::new(
    "mesh.rate_limit.calls",
    "Calls that a rate limit has looked at: passed, refused, or over_limit, which passed all the same.",
    "{call}",
    &["mesh.rate_limit", "mesh.outcome"],
);

/// Requests that were sent to mirrors.
pub(crate) const MIRRORED_REQUESTS: CounterFamily = CounterFamily::new(
    "mesh.mirror.requests",
    "Requests that were sent to mirrors.",
    "{request}",
    &["mesh.target"],
);

/// Requests that were not mirrored.
pub(crate) const SKIPPED_MIRRORS: CounterFamily = CounterFamily::new(
    "mesh.mirror.skipped",
    "Requests that were not mirrored, because too many mirrored ones ran already.",
    "{request}",
    &["mesh.target"],
);

/// Active health checks of endpoints.
pub(crate) const HEALTH_CHECKS: CounterFamily = CounterFamily::new(
    "mesh.health_checks",
    "Active health checks by their result: good, failed, or refused, when the endpoint said that it is not healthy.",
    "{check}",
    &["mesh.cluster", "mesh.result"],
);

/// Decisions of RBAC filters. `rules` is `enforced` or `shadow`, `decision` is `allowed` or `denied`; `policy` is the one that
/// denied the call, and empty where no policy allows it.
pub const AUTHORIZATIONS: CounterFamily = CounterFamily::new(
    "mesh.server.authorizations",
    "Decisions of RBAC filters about calls; shadow rules only say what they would decide",
    "{call}",
    &["filter", "rules", "decision", "policy"],
);

/// Calls about which external authorization was to decide. `result` is `allowed`, `denied`, `failed` (refused without an answer), `failed_open`
/// (allowed without an answer), `invalid` (failed by the changes that the answer asks for) or `unchecked`.
pub(crate) const EXTERNAL_CHECKS: CounterFamily = CounterFamily::new(
    "mesh.ext_authz.calls",
    "Calls about which external authorization was to decide, by the result",
    "{call}",
    &["filter", "result"],
);

/// Tokens that servers have looked at. `result` is `accepted`, or why the call was refused.
pub(crate) const TOKENS: CounterFamily = CounterFamily::new(
    "mesh.server.tokens",
    "Calls whose tokens (JWT) were checked, by the result",
    "{call}",
    &["filter", "result"],
);

/// TLS handshakes of clients (gRFC A118).
pub(crate) const CLIENT_HANDSHAKES: CounterFamily = CounterFamily::new(
    "grpc.client.tls.handshakes",
    "TLS handshakes with endpoints, by how they ended.",
    "{handshake}",
    &["grpc.tls.handshake.result", "grpc.tls.handshake.resumed"],
);

/// TLS handshakes of servers (gRFC A118).
pub(crate) const SERVER_HANDSHAKES: CounterFamily = CounterFamily::new(
    "grpc.server.tls.handshakes",
    "TLS handshakes with clients, by how they ended.",
    "{handshake}",
    &["grpc.tls.handshake.result", "grpc.tls.handshake.resumed"],
);

/// Connections that were ended because their peer is not accepted any more.
pub(crate) const ENDED_CONNECTIONS: CounterFamily = CounterFamily::new(
    "mesh.tls.ended_connections",
    "Connections that were ended because a handshake would refuse their peer now, by why it would.",
    "{connection}",
    &["mesh.side", "grpc.tls.handshake.result"],
);
