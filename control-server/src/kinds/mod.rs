//! The kinds of configuration: Istio's and the Gateway API's objects as types, checked on their own.
//!
//! An object from [`decode_document`] is well-formed: every field has its type and range, and fields without effect are
//! reported. Whether its references exist is checked by the model. `docs/configuration.md` lists every field.

pub(crate) mod authorization;
mod check;
pub(crate) mod cors;
pub(crate) mod destination_rule;
mod duration;
mod effect;
pub(crate) mod endpoint_slice;
mod envelope;
pub(crate) mod gateway_route;
pub(crate) mod grpc_route;
pub(crate) mod header_changes;
pub(crate) mod http_route;
pub(crate) mod mesh_policy;
mod object;
mod origin;
pub(crate) mod peer_authentication;
pub(crate) mod rate_limit_policy;
mod recognize;
pub(crate) mod reference_grant;
mod refused;
mod regex;
pub(crate) mod request_authentication;
mod schema;
mod serialize;
pub(crate) mod service;
pub(crate) mod service_entry;
pub(crate) mod session_persistence;
mod string_match;
pub(crate) mod target;
#[cfg(test)]
mod tests;
pub(crate) mod traffic_policy;
pub(crate) mod virtual_service;
pub(crate) mod workload_entry;

pub(crate) use duration::{GatewayDuration, ProtoDuration};
pub(crate) use envelope::{Decoded, Outcome, decode_document};
pub(crate) use object::{Kind, Object, ObjectId, Spec};
pub(crate) use origin::{FileId, Seniority};
pub(crate) use recognize::Foreign;
pub(crate) use refused::Refused;
pub(crate) use schema::schema;
pub(crate) use string_match::{Pattern, StringMatch};
