//! Mirrors of requests.

use mesh_core::config::{Mirror, MirrorHost};
use mesh_core::policy::matcher::Fraction;
use xds_proto::envoy::config::route::v3::route_action::RequestMirrorPolicy;

use crate::resource::fields;
use crate::resource::invalid::{Checked, Invalid, Within};

/// RT-65: of the most specific list that is not empty, the first argument.
pub(super) fn read(lists: [&[RequestMirrorPolicy]; 3]) -> Checked<Vec<Mirror>> {
    let Some(policies) = lists.into_iter().find(|list| !list.is_empty()) else { return Ok(Vec::new()) };
    check(policies)
}

/// Validates a list that a more specific one may replace.
pub(super) fn check(policies: &[RequestMirrorPolicy]) -> Checked<Vec<Mirror>> {
    let read = |(index, policy)| one(policy).within_element("request_mirror_policies", index);
    policies.iter().enumerate().map(read).collect()
}

fn one(policy: &RequestMirrorPolicy) -> Checked<Mirror> {
    if !policy.cluster_header.is_empty() {
        return Err(Invalid::at("cluster_header", "is not supported"));
    }
    if policy.cluster.is_empty() {
        return Err(Invalid::at("cluster", "must not be empty"));
    }
    if !policy.request_headers_mutations.is_empty() {
        return Err(Invalid::at("request_headers_mutations", "is not supported"));
    }
    let fraction = match &policy.runtime_fraction {
        None => Fraction::ALL,
        Some(runtime) => {
            let value = runtime.default_value.as_ref().ok_or_else(|| Invalid::new("must be set"));
            let value = value.and_then(fields::fraction).within("default_value");
            value.within("runtime_fraction")?
        }
    };
    let host = match policy.host_rewrite_literal.as_str() {
        "" if policy.disable_shadow_host_suffix_append => MirrorHost::Same,
        "" => MirrorHost::Suffixed,
        host => {
            let host = host.parse().map_err(|_| Invalid::new("is not a valid authority"));
            MirrorHost::Literal(host.within("host_rewrite_literal")?)
        }
    };
    Ok(Mirror::to(policy.cluster.as_str()).with_fraction(fraction).with_host(host))
}
