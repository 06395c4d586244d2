//! The conditions of a route.

use mesh_core::config::RouteMatch;
use mesh_core::policy::matcher::{PathMatcher, QueryMatcher};
use xds_proto::envoy::config::core::v3::RuntimeFractionalPercent;
use xds_proto::envoy::config::route::v3 as proto;
use xds_proto::envoy::config::route::v3::query_parameter_matcher::QueryParameterMatchSpecifier;
use xds_proto::envoy::config::route::v3::route_match::PathSpecifier;

use crate::resource::Decoding;
use crate::resource::fields::fraction;
use crate::resource::invalid::{Checked, Invalid, Within};
use crate::resource::matcher::{self, HeaderCheck};

/// `None`: it can never match. `tls_context` and `dynamic_metadata` are not read (RDS-07).
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
    let query_parameters = query_parameters(&route_match.query_parameters, context)?;
    possible &= query_parameters.iter().all(|parameter| !parameter.name.is_empty());
    let mut read = RouteMatch::new(path);
    read.headers = headers;
    read.query_parameters = query_parameters;
    // RDS-07: a gRPC client's calls all are
    read.grpc_only = route_match.grpc.is_some();
    read.fraction = fraction;
    Ok(possible.then_some(read))
}

// RT-17
fn query_parameters(
    parameters: &[proto::QueryParameterMatcher],
    context: &Decoding<'_>,
) -> Checked<Vec<QueryMatcher>> {
    let read = |(index, parameter): (usize, &proto::QueryParameterMatcher)| {
        let value = match &parameter.query_parameter_match_specifier {
            Some(QueryParameterMatchSpecifier::StringMatch(matcher)) => {
                let value = matcher::string(matcher, context).within("string_match");
                Some(value.within_element("query_parameters", index)?)
            }
            // Envoy reads neither as a request for the parameter's absence
            Some(QueryParameterMatchSpecifier::PresentMatch(_)) | None => None,
        };
        if parameter.name.len() > LONGEST_NAME {
            let invalid = Err(Invalid::at("name", "must not be longer than 1024 bytes"));
            return invalid.within_element("query_parameters", index);
        }
        Ok(QueryMatcher::new(&parameter.name, value))
    };
    parameters.iter().enumerate().map(read).collect()
}

const LONGEST_NAME: usize = 1024;

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
        // RT-18
        Some(PathSpecifier::PathSeparatedPrefix(prefix)) => {
            if prefix.len() < 2 || prefix.ends_with('/') || prefix.contains(['?', '#']) {
                let expected = "expected a path without ?, # and a / at its end";
                return Err(Invalid::at("path_separated_prefix", expected));
            }
            Ok(PathMatcher::SeparatedPrefix { prefix: prefix.clone(), ignore_case })
        }
        Some(PathSpecifier::PathMatchPolicy(_)) => Err(Invalid::at("path_match_policy", "is not supported")),
        None => Err(Invalid::new("expected prefix, path or safe_regex")),
    }
}
