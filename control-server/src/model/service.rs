//! A service: all ports, routes and clusters of one host name.

use std::sync::Arc;

use super::cluster::Cluster;
use super::route::Route;
use crate::kinds::ObjectId;

/// A service, complete: its translation depends on nothing else.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Service {
    /// The whole name, in lower case.
    pub(crate) host: String,
    /// Shorter names that mean this service.
    pub(crate) aliases: Vec<String>,
    /// As declared; a name without a port means the first.
    pub(crate) ports: Vec<ServicePort>,
    /// For every port, of all endpoints and of each subset. The same as before if nothing they are made from has changed.
    pub(crate) clusters: Arc<[Cluster]>,
    /// The object that declares it.
    pub(crate) declared_by: ObjectId,
    /// The `DestinationRule` that applies.
    pub(crate) ruled_by: Option<ObjectId>,
}

/// A port and the routes of calls to it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ServicePort {
    pub(crate) number: u32,
    /// The first match wins; a call that matches none fails.
    pub(crate) routes: Vec<Route>,
    /// The objects that define the routes; empty: the default route.
    pub(crate) routed_by: Vec<ObjectId>,
}
