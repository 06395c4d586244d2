//! Services outside of the mesh that servers ask, by the names under which policies name them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finding::Findings;
use crate::kinds::{ProtoDuration, check};
use crate::yaml::FieldPath;

/// A service that an `AuthorizationPolicy` with the action CUSTOM names. Names and fields are those of Istio's `MeshConfig`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExtensionProvider {
    pub(crate) name: String,
    pub(crate) envoy_ext_authz_grpc: ExtAuthzGrpc,
}

/// An `envoy.service.auth.v3.Authorization` service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExtAuthzGrpc {
    /// Its host, as servers resolve it.
    service: String,
    port: u32,
    /// How long a call waits for the answer; 600ms by default.
    pub(crate) timeout: Option<ProtoDuration>,
    /// A call without an answer is answered, instead of refused.
    #[serde(default)]
    pub(crate) fail_open: bool,
    /// The status of a call that is refused because there is no answer; 403 by default.
    pub(crate) status_on_error: Option<u16>,
}

impl ExtAuthzGrpc {
    /// The target under which bootstraps allow the service.
    pub(crate) fn target(&self) -> String {
        match self.service.contains(':') {
            true => format!("[{}]:{}", self.service, self.port),
            false => format!("{}:{}", self.service, self.port),
        }
    }
}

pub(super) fn check(providers: &[ExtensionProvider], path: &FieldPath, findings: &mut Findings) {
    let names = providers.iter().map(|provider| provider.name.as_str());
    check::unique(names, |index| path.index(index).field("name"), findings);
    for (index, provider) in providers.iter().enumerate() {
        let path = path.index(index);
        if provider.name.is_empty() {
            findings.error(path.field("name"), "found an empty name, expected one that policies name");
        }
        let ExtAuthzGrpc { service, port, timeout, status_on_error, .. } = &provider.envoy_ext_authz_grpc;
        let path = path.field("envoyExtAuthzGrpc");
        if !check::is_host(service) && service.parse::<std::net::IpAddr>().is_err() {
            findings
                .error(path.field("service"), format!("found `{service}`, expected a host or an IP address"));
        }
        check::port(*port, &path.field("port"), findings);
        if timeout.is_some_and(|timeout| timeout.0.is_zero()) {
            findings.error(path.field("timeout"), "found 0s, expected more: no call would be answered");
        }
        if let Some(status) = status_on_error.filter(|status| !(300..600).contains(status)) {
            let message = format!("found {status}, expected a status of 300 to 599");
            findings.error(path.field("statusOnError"), message);
        }
    }
}
