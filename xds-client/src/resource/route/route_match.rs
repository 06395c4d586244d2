//! The conditions of a route.

use mesh_core::config::RouteMatch;
use mesh_core::policy::matcher::PathMatcher;
use xds_proto::envoy::config::core::v3::RuntimeFractionalPercent;
use xds_proto::envoy::config::route::v3 as proto;
use xds_proto::envoy::config::route::v3::route_match::PathSpecifier;

use crate::resource::Decoding;
use crate::resource::fields::fraction;
use crate::resource::invalid::{Checked, Invalid, Within};
use crate::resource::matcher::{self, HeaderCheck};

/// `None`: it can never match. `grpc`, `tls_context` and `dynamic_metadata` are not read (RDS-07).
pub(in crate::resource) fn read(
    route_match: &proto::RouteMatch,
    context: &Decoding<'_>,
) -> Checked<Option<RouteMatch>> {
    let path = path(route_match, context)?;
    let mut headers = Vec::with_capacity(route_match.headers.len());
    let mut possible = true;
    for (index, header) in route_match.headers.iter().enumerate() {
        match matcher::header(header, context).within_element("headers", index)? {
            HeaderCheck::Matcher(matcher) => headers.push(matcher),
            HeaderCheck::Always => {}
            HeaderCheck::Never => possible = false,
        }
    }
    // RDS-09. RV-55: no RTDS, so the default is the value, whatever runtime_key is.
    let share = |runtime: &RuntimeFractionalPercent| {
        let value = runtime.default_value.as_ref().ok_or_else(|| Invalid::new("must be set"));
        value.and_then(fraction).within("default_value")
    };
    let fraction = route_match.runtime_fraction.as_ref().map(share).transpose().within("runtime_fraction")?;
    let mut read = RouteMatch::new(path);
    read.headers = headers;
    read.fraction = fraction;
    Ok(possible.then_some(read))
}

// RDS-05
fn path(route_match: &proto::RouteMatch, context: &Decoding<'_>) -> Checked<PathMatcher> {
    let ignore_case = route_match.case_sensitive.is_some_and(|sensitive| !sensitive.value);
    match &route_match.path_specifier {
        Some(PathSpecifier::Prefix(prefix)) => {
            Ok(PathMatcher::Prefix { prefix: prefix.clone(), ignore_case })
        }
        Some(PathSpecifier::Path(path)) => Ok(PathMatcher::Exact { path: path.clone(), ignore_case }),
        Some(PathSpecifier::SafeRegex(regex)) => {
            Ok(PathMatcher::Regex(matcher::regex(regex, context).within("safe_regex")?))
        }
        Some(PathSpecifier::ConnectMatcher(_)) => Err(Invalid::at("connect_matcher", "is not supported")),
        Some(PathSpecifier::PathSeparatedPrefix(_)) => {
            Err(Invalid::at("path_separated_prefix", "is not supported"))
        }
        Some(PathSpecifier::PathMatchPolicy(_)) => Err(Invalid::at("path_match_policy", "is not supported")),
        None => Err(Invalid::new("expected prefix, path or safe_regex")),
    }
}
