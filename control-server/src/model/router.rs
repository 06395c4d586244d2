//! The routes of every service's ports.

use std::collections::BTreeSet;

use super::conflict::conflict;
use super::grpc_route::GrpcRoutes;
use super::memory::Memory;
use super::reference::{References, Target, WeightedTarget};
use super::registry::Declaration;
use super::report::Report;
use super::route::{PathMatch, Route, RouteMatch};
use super::service::ServicePort;
use super::virtual_service::VirtualServices;
use crate::kinds::header_changes::HeaderChanges;
use crate::source::Sourced;
use crate::yaml::FieldPath;

/// All objects that route calls.
#[derive(Debug)]
pub(super) struct Router {
    virtual_services: VirtualServices,
    grpc_routes: GrpcRoutes,
}

impl Router {
    /// Objects in use are added to `used`.
    pub(super) fn new(
        objects: &[Sourced],
        references: References<'_>,
        memory: &Memory,
        used: &mut Vec<Sourced>,
        report: &mut Report,
    ) -> Self {
        Self {
            virtual_services: VirtualServices::new(objects, references, memory, used, report),
            grpc_routes: GrpcRoutes::new(objects, references, memory, used, report),
        }
    }

    /// Every subset that a route names.
    pub(super) fn named_subsets(&self, references: References<'_>) -> BTreeSet<(String, String)> {
        self.virtual_services.named_subsets(references)
    }

    /// The ports of a service with their routes: by the Gateway API, else by Istio, else to all endpoints.
    pub(super) fn ports(
        &self,
        host: &str,
        declaration: &Declaration,
        references: References<'_>,
        report: &mut Report,
    ) -> Vec<ServicePort> {
        let ports = declaration.entry().ports.iter().map(|port| port.number);
        ports
            .map(|number| {
                if let Some((routes, routed_by)) = self.grpc_routes.routes(host, number, references) {
                    if let (Some(loser), Some(winner)) =
                        (self.virtual_services.of_host(host), routed_by.first())
                    {
                        let message = conflict(winner, &format!("routes calls to port {number} of {host}"));
                        report.warning(loser, FieldPath::spec().field("hosts"), message);
                    }
                    return ServicePort { number, routes, routed_by };
                }
                match self.virtual_services.routes(host, number, references) {
                    Some((routes, routed_by)) => ServicePort { number, routes, routed_by },
                    None => ServicePort {
                        number,
                        routes: default_route(host, number, references),
                        routed_by: Vec::new(),
                    },
                }
            })
            .collect()
    }
}

fn default_route(host: &str, port: u32, references: References<'_>) -> Vec<Route> {
    let target = Target { host: host.to_owned(), port, subset: String::new() };
    let all = WeightedTarget { target, weight: 1, headers: HeaderChanges::default() };
    let action = references.forward(&[all]);
    let matches = RouteMatch { path: PathMatch::any(), headers: Vec::new() };
    let route = |action| Route {
        name: "default".to_owned(),
        matches: matches.clone(),
        action,
        timeout: None,
        retry: None,
        fault: None,
        headers: HeaderChanges::default(),
    };
    action.map(route).into_iter().collect()
}
