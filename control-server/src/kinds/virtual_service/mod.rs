//! `VirtualService`: how calls to a host are routed.

mod check;
pub(super) mod effects;
mod fault;
mod headers;
mod http;
mod l4;
mod retry;

use serde::Deserialize;

use super::effect;
use crate::finding::Findings;
use crate::yaml::{FieldPath, Node, decode};

pub(crate) use fault::{AbortStatus, Fault, FaultAbort, FaultDelay, HttpFault};
pub(crate) use headers::Headers;
pub(crate) use http::{Destination, HttpMatch, HttpRoute};
pub(crate) use retry::HttpRetry;

/// Routes for one or more hosts, the first match first; without hosts, routes that others delegate to.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
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
    service.check(path, findings);
    effect::warn(effects::EFFECTS, spec, findings);
    Some(service)
}

impl VirtualService {
    /// Whether others delegate to it, and it routes nothing by itself.
    pub(crate) const fn is_delegate(&self) -> bool {
        self.hosts.is_empty()
    }

    /// Whether it is for calls inside the mesh.
    pub(crate) fn is_for_mesh(&self) -> bool {
        is_for_mesh(&self.gateways)
    }
}

fn is_for_mesh(gateways: &[String]) -> bool {
    gateways.is_empty() || gateways.iter().any(|gateway| gateway == "mesh")
}
