//! Rewrites of paths and authorities.

use http::uri::Authority;
use mesh_core::config::{HostRewrite, PathRewrite, RegexRewrite, Rewrite};
use xds_proto::envoy::config::route::v3 as proto;
use xds_proto::envoy::config::route::v3::route_action::HostRewriteSpecifier;
use xds_proto::envoy::config::route::v3::weighted_cluster::cluster_weight;
use xds_proto::envoy::r#type::matcher::v3::RegexMatchAndSubstitute;

use crate::resource::invalid::{Checked, Invalid, Within};
use crate::resource::matcher::header_name;

use super::{Scope, hash_policy};

/// The rewrite of an action. Its authority is read from trusted servers only, as `auto_host_rewrite` is: another one could send
/// calls to a service that the application has not named.
// RDS-18, SEC-03
pub(super) fn read(action: &proto::RouteAction, scope: &Scope<'_>) -> Checked<Rewrite> {
    let mut rewrite = Rewrite::default();
    rewrite.path = path(action, scope)?;
    let host = host(action, scope)?;
    rewrite.host = host.filter(|_| scope.host_rewrite);
    rewrite.append_forwarded_host = action.append_x_forwarded_host;
    Ok(rewrite)
}

/// RT-60: at most one rewrite of the path.
fn path(action: &proto::RouteAction, scope: &Scope<'_>) -> Checked<Option<PathRewrite>> {
    if action.path_rewrite_policy.is_some() {
        return Err(Invalid::at("path_rewrite_policy", "is not supported"));
    }
    if !action.path_rewrite.is_empty() {
        return Err(Invalid::at("path_rewrite", "is not supported"));
    }
    match (action.prefix_rewrite.as_str(), &action.regex_rewrite) {
        ("", None) => Ok(None),
        (prefix, None) => Ok(Some(PathRewrite::Prefix(prefix.to_owned()))),
        ("", Some(rewrite)) => Ok(Some(PathRewrite::Regex(regex(rewrite, scope).within("regex_rewrite")?))),
        (_, Some(_)) => Err(Invalid::at("regex_rewrite", "must not be set beside prefix_rewrite")),
    }
}

/// RT-62
fn host(action: &proto::RouteAction, scope: &Scope<'_>) -> Checked<Option<HostRewrite>> {
    Ok(match &action.host_rewrite_specifier {
        None | Some(HostRewriteSpecifier::AutoHostRewrite(_)) => None,
        Some(HostRewriteSpecifier::HostRewriteLiteral(host)) => {
            literal(host).within("host_rewrite_literal")?
        }
        Some(HostRewriteSpecifier::HostRewriteHeader(name)) if name.is_empty() => None,
        Some(HostRewriteSpecifier::HostRewriteHeader(name)) => {
            Some(HostRewrite::Header(header_name(name).within("host_rewrite_header")?))
        }
        Some(HostRewriteSpecifier::HostRewritePathRegex(rewrite)) => {
            Some(HostRewrite::Path(regex(rewrite, scope).within("host_rewrite_path_regex")?))
        }
        Some(HostRewriteSpecifier::HostRewrite(_)) => {
            return Err(Invalid::at("host_rewrite", "is not supported"));
        }
    })
}

/// Whether calls have their endpoint's host name as their authority.
pub(super) fn is_endpoints_host(action: &proto::RouteAction) -> bool {
    match &action.host_rewrite_specifier {
        Some(HostRewriteSpecifier::AutoHostRewrite(rewrite)) => rewrite.value,
        _ => false,
    }
}

/// A weighted cluster's own authority, which replaces the action's.
pub(super) fn of_weighted_cluster(
    cluster: &proto::weighted_cluster::ClusterWeight,
    scope: &Scope<'_>,
) -> Checked<Option<HostRewrite>> {
    let Some(cluster_weight::HostRewriteSpecifier::HostRewriteLiteral(host)) =
        &cluster.host_rewrite_specifier
    else {
        return Ok(None);
    };
    Ok(literal(host).within("host_rewrite_literal")?.filter(|_| scope.host_rewrite))
}

/// Envoy reads an empty text as none.
fn literal(host: &str) -> Checked<Option<HostRewrite>> {
    if host.is_empty() {
        return Ok(None);
    }
    let host: Authority = host.parse().map_err(|_| Invalid::new("is not a valid authority"))?;
    Ok(Some(HostRewrite::Literal(host)))
}

fn regex(rewrite: &RegexMatchAndSubstitute, scope: &Scope<'_>) -> Checked<RegexRewrite> {
    let (pattern, replacement) = hash_policy::regex_rewrite(rewrite, scope.context)?;
    Ok(RegexRewrite::new(pattern, replacement))
}
