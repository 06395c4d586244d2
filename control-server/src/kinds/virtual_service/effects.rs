//! Fields of a `VirtualService` without effect on gRPC clients.

use crate::kinds::effect::Effect;
use crate::kinds::header_changes;
use crate::state::ClientFamily;

const MIRROR: &str = "ignored by gRPC clients, only mesh-tonic and Envoy do it: nothing is mirrored";
const UNAVAILABLE: &str =
    "gRPC clients cannot answer by themselves, only Envoy can: calls that match fail with UNAVAILABLE";
/// gRPC's own libraries and mesh-tonic.
const ALL_GRPC: &[ClientFamily] = &[ClientFamily::Grpc, ClientFamily::MeshTonic];
const LOWER_LAYER: &str = "ignored: only http routes apply to gRPC clients";

pub(in crate::kinds) const EFFECTS: &[Effect] = &[
    Effect { field: "tls", message: LOWER_LAYER, clients: &[] },
    Effect { field: "tcp", message: LOWER_LAYER, clients: &[] },
    Effect { field: "http[].redirect", message: UNAVAILABLE, clients: ALL_GRPC },
    Effect { field: "http[].directResponse", message: UNAVAILABLE, clients: ALL_GRPC },
    Effect {
        field: "http[].rewrite",
        message: "ignored by gRPC clients, only mesh-tonic and Envoy do it: path and authority stay as they are",
        clients: &[ClientFamily::Grpc],
    },
    Effect {
        field: "http[].rewrite.authority",
        message: "mesh-tonic does it only if its bootstrap has `trusted_xds_server` for this server",
        clients: &[ClientFamily::MeshTonic],
    },
    Effect { field: "http[].mirror", message: MIRROR, clients: &[ClientFamily::Grpc] },
    Effect { field: "http[].mirrorPercent", message: MIRROR, clients: &[ClientFamily::Grpc] },
    Effect { field: "http[].mirrorPercentage", message: MIRROR, clients: &[ClientFamily::Grpc] },
    Effect { field: "http[].mirrors", message: MIRROR, clients: &[ClientFamily::Grpc] },
    Effect { field: "http[].corsPolicy", message: "ignored: gRPC clients are no browsers", clients: &[] },
    Effect { field: "http[].headers", message: header_changes::EFFECT, clients: &[ClientFamily::Grpc] },
    Effect {
        field: "http[].route[].headers",
        message: header_changes::EFFECT,
        clients: &[ClientFamily::Grpc],
    },
    Effect {
        field: "http[].match[].statPrefix",
        message: "ignored by gRPC clients: they have no such statistics",
        clients: &[],
    },
    Effect {
        field: "http[].match[].scheme",
        message: "the route is skipped for this match: gRPC clients show no scheme to routing",
        clients: &[],
    },
    Effect {
        field: "http[].match[].authority",
        message: "clients that do not show :authority to routing, as gRPC does not, skip the route for this match",
        clients: &[ClientFamily::Grpc],
    },
    Effect {
        field: "http[].retries.perTryTimeout",
        message: "ignored by gRPC clients, only mesh-tonic and Envoy use it: only `timeout` limits a call, over all attempts",
        clients: &[ClientFamily::Grpc],
    },
    Effect {
        field: "http[].retries.retryRemoteLocalities",
        message: "ignored by gRPC clients, only Envoy uses it",
        clients: ALL_GRPC,
    },
    Effect {
        field: "http[].retries.retryIgnorePreviousHosts",
        message: "ignored by gRPC clients, only mesh-tonic and Envoy use it",
        clients: &[ClientFamily::Grpc],
    },
];
