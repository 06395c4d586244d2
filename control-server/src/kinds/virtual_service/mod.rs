//! `VirtualService`: how calls to a host are routed.

mod check;
pub(super) mod effects;
mod fault;
mod headers;
mod http;
mod l4;
mod retry;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::effect;
use crate::finding::{Finding, Findings};
use crate::yaml::{FieldPath, Node, decode};

pub(crate) use fault::{AbortStatus, Fault, FaultAbort, FaultDelay, HttpFault};
pub(crate) use headers::Headers;
pub(crate) use http::{Destination, HttpMatch, HttpRoute, Redirect, Rewrite};
pub(crate) use retry::HttpRetry;

/// Routes for one or more hosts, the first match first; without hosts, routes that others delegate to.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct VirtualService {
    pub(crate) hosts: Vec<String>,
    pub(crate) gateways: Vec<String>,
    pub(crate) http: Vec<HttpRoute>,
    tls: Vec<l4::TlsRoute>,
    tcp: Vec<l4::TcpRoute>,
    pub(crate) export_to: Vec<String>,
}

pub(crate) fn read(spec: &Node, path: &FieldPath, findings: &mut Findings) -> Option<VirtualService> {
    let service: VirtualService = decode(spec, path, findings)?;
    let mut own = Findings::default();
    service.check(path, &mut own);
    if service.is_for_mesh() {
        effect::warn(effects::EFFECTS, spec, &mut own);
    }
    let passed_over: Vec<FieldPath> = service.passed_over(path);
    let is_judged = |finding: &Finding| !passed_over.iter().any(|part| finding.path.is_within(part));
    own.into_iter().filter(is_judged).for_each(|finding| findings.push(finding));
    Some(service)
}

impl VirtualService {
    /// Whether others delegate to it, and it routes nothing by itself.
    pub(crate) const fn is_delegate(&self) -> bool {
        self.hosts.is_empty()
    }

    /// Parts for gateways only. Nothing is said about them: they may use what gRPC clients cannot do.
    fn passed_over(&self, path: &FieldPath) -> Vec<FieldPath> {
        let mut parts = Vec::new();
        for (index, route) in self.http.iter().enumerate() {
            let path = path.field("http").index(index);
            let is_for_gateway = |one: &HttpMatch| !is_for_mesh(&one.gateways);
            if !route.r#match.is_empty() && route.r#match.iter().all(is_for_gateway) {
                parts.push(path);
                continue;
            }
            let matches = route.r#match.iter().enumerate().filter(|(_, one)| is_for_gateway(one));
            parts.extend(matches.map(|(index, _)| path.field("match").index(index)));
        }
        parts
    }

    /// Whether it has rules for the calls of gRPC clients.
    pub(crate) fn routes_calls(&self) -> bool {
        self.is_for_mesh() && !self.http.is_empty()
    }

    /// Whether it is for calls inside the mesh.
    pub(crate) fn is_for_mesh(&self) -> bool {
        is_for_mesh(&self.gateways)
    }
}

fn is_for_mesh(gateways: &[String]) -> bool {
    gateways.is_empty() || gateways.iter().any(|gateway| gateway == "mesh")
}
