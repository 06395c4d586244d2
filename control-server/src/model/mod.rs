//! The model: from objects to services with their endpoints, routes and policies. Pure.
//!
//! ```text
//! objects -> ServiceRegistry (services by host) -> Rules (DestinationRule by host) -> Router (routes by host and port)
//!                 \________________________________\_______________________________\____> Service, one per host
//! ```
//!
//! Every step reports what it finds at the object's own position, and an object that refers to something that does not
//! exist is refused alone: [`Memory`] has the version of it that was last good. Conflicts between objects are settled by
//! kind (the Gateway API's before Istio's), then age, then name.

mod aliases;
mod build;
mod cluster;
mod conflict;
mod delegate;
mod endpoints;
mod grpc_route;
mod made;
mod matches;
mod memory;
mod policy;
mod reference;
mod registry;
mod report;
mod route;
mod router;
mod rules;
mod service;
mod virtual_service;

pub(crate) use build::{Model, build};
pub(crate) use cluster::{Cluster, Discovery};
pub(crate) use endpoints::{Endpoint, Locality};
pub(crate) use memory::Memory;
pub(crate) use policy::{LoadBalancing, Outlier};
pub(crate) use route::{Action, HeaderMatch, PathMatch, Retry, Route, RouteMatch, Share};
pub(crate) use service::{Service, ServicePort};
