//! Policies with the action AUDIT: servers write the calls that they match, and the calls that they refuse, to their audit log (A59).

use xds_proto::envoy::config::core::v3::TypedExtensionConfig;
use xds_proto::envoy::config::rbac::v3::Rbac as Rules;
use xds_proto::envoy::config::rbac::v3::rbac::audit_logging_options::{AuditCondition, AuditLoggerConfig};
use xds_proto::envoy::config::rbac::v3::rbac::{Action, AuditLoggingOptions};
use xds_proto::envoy::extensions::filters::http::rbac::v3::Rbac;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;
use xds_proto::envoy::extensions::rbac::audit_loggers::stream::v3::StdoutAuditLog;
use xds_proto::pack_any;

use super::filters::filter;
use super::listener::Server;
use super::logic::{Effect, Proven};
use super::rules::{self, Authorization};
use crate::model::ServerPolicies;
use crate::state::ClientFamily;

/// The filter that tells about the calls that these policies match. It stands behind those that refuse calls, so that what it says of
/// a call, that it is allowed, is true. Only our servers have it; others ignore rules that log.
pub(super) fn translate(
    audited: &[Authorization<'_>],
    policies: &ServerPolicies,
    server: Server<'_>,
    proven: Proven,
) -> Option<HttpFilter> {
    // What cannot be checked counts as a match.
    let rules = rules::translate(audited.iter().copied(), Effect::Deny, &policies.trust_domain, proven);
    if server.family != ClientFamily::MeshTonic || rules.policies.is_empty() {
        return None;
    }
    let options = options(AuditCondition::OnAllow, server.family);
    let rules = Rules { action: Action::Log.into(), audit_logging_options: Some(options), ..rules };
    Some(filter("envoy.filters.http.rbac.audit", pack_any(Rbac { rules: Some(rules), ..Rbac::default() })))
}

/// Has rules tell about the calls that they refuse.
pub(super) fn refusals(rules: &mut Rules, family: ClientFamily) {
    rules.audit_logging_options = Some(options(AuditCondition::OnDeny, family));
}

fn options(condition: AuditCondition, family: ClientFamily) -> AuditLoggingOptions {
    let logger = AuditLoggerConfig {
        audit_logger: Some(TypedExtensionConfig {
            name: "stdout".to_owned(),
            typed_config: Some(pack_any(StdoutAuditLog {})),
        }),
        // A language without audit logs shall not refuse the listener.
        is_optional: family != ClientFamily::MeshTonic,
    };
    AuditLoggingOptions { audit_condition: condition.into(), logger_configs: vec![logger] }
}
