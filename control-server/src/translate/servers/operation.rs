//! What is called: hosts, paths, ports, headers.

use xds_proto::envoy::config::rbac::v3::Permission;
use xds_proto::envoy::config::rbac::v3::permission::Rule;
use xds_proto::envoy::config::route::v3::HeaderMatcher;
use xds_proto::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use xds_proto::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use xds_proto::envoy::r#type::matcher::v3::{PathMatcher, RegexMatcher, StringMatcher, path_matcher};

use super::logic::{Condition, permission};
use super::source::cidr;
use crate::kinds::authorization::{AddressRange, Operation, Text, path_template};

type Call = Condition<Permission>;

/// The condition of one `operation`.
pub(super) fn translate(operation: &Operation) -> Call {
    Call::all([
        Call::of_values(&operation.hosts, &operation.not_hosts, host),
        Call::of_values(&operation.ports, &operation.not_ports, port),
        Call::of_values(&operation.methods, &operation.not_methods, |method| header(":method", method)),
        Call::of_values(&operation.paths, &operation.not_paths, path),
    ])
}

/// B7 of the identity cases: without case, without a final dot; the request's port is set aside where the rule has none.
pub(super) fn host(host: &str) -> Call {
    let regex = match Text::parse(host) {
        Text::Present => return header(":authority", "*"),
        Text::Prefix(prefix) => format!("(?i){}.*", regex::escape(prefix)),
        Text::Suffix(suffix) => format!("(?i).*{}", host_regex(suffix)),
        Text::Exact(exact) => format!("(?i){}", host_regex(exact)),
    };
    let specifier = HeaderMatchSpecifier::StringMatch(matches_regex(regex));
    Call::Test(header_matcher(":authority", specifier))
}

/// A host, or the end of one, with the port that it has or any.
fn host_regex(host: &str) -> String {
    let port = host.rsplit_once(':').filter(|(name, port)| {
        let is_address = name.contains(':') && !name.ends_with(']');
        !is_address && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
    });
    let (name, port) = match port {
        Some((name, port)) => (name, format!(":{port}")),
        None => (host, "(:[0-9]+)?".to_owned()),
    };
    format!("{}\\.?{port}", regex::escape(name.trim_end_matches('.')))
}

pub(super) fn port(port: &str) -> Call {
    // Checked before: a number.
    port.parse().map_or(Call::Never, |port| Call::Test(permission(Rule::DestinationPort(port))))
}

pub(super) fn address(range: &str) -> Call {
    let range = AddressRange::parse(range);
    range.map_or(Call::Never, |range| Call::Test(permission(Rule::DestinationIp(cidr(range)))))
}

fn path(path: &str) -> Call {
    let matcher = match path_template(path) {
        Ok(Some(regex)) => matches_regex(regex),
        _ => match Text::parse(path) {
            Text::Present => matches_regex(".+".to_owned()),
            text => string_matcher(text),
        },
    };
    let rule = path_matcher::Rule::Path(matcher);
    Call::Test(permission(Rule::UrlPath(PathMatcher { rule: Some(rule) })))
}

/// A header by name; several values of one are joined by a comma (A41).
#[expect(deprecated, reason = "every version of gRPC reads these fields")]
pub(super) fn header(name: &str, value: &str) -> Call {
    let specifier = match Text::parse(value) {
        Text::Present => HeaderMatchSpecifier::PresentMatch(true),
        Text::Exact(exact) => HeaderMatchSpecifier::ExactMatch(exact.to_owned()),
        Text::Prefix(prefix) => HeaderMatchSpecifier::PrefixMatch(prefix.to_owned()),
        Text::Suffix(suffix) => HeaderMatchSpecifier::SuffixMatch(suffix.to_owned()),
    };
    Call::Test(header_matcher(name, specifier))
}

fn header_matcher(name: &str, specifier: HeaderMatchSpecifier) -> Permission {
    permission(Rule::Header(HeaderMatcher {
        name: name.to_owned(),
        header_match_specifier: Some(specifier),
        ..HeaderMatcher::default()
    }))
}

/// A text with something written out.
pub(super) fn string_matcher(text: Text<'_>) -> StringMatcher {
    let pattern = match text {
        Text::Exact(exact) => MatchPattern::Exact(exact.to_owned()),
        Text::Prefix(prefix) => MatchPattern::Prefix(prefix.to_owned()),
        Text::Suffix(suffix) => MatchPattern::Suffix(suffix.to_owned()),
        Text::Present => return matches_regex(".+".to_owned()),
    };
    StringMatcher { match_pattern: Some(pattern), ..StringMatcher::default() }
}

pub(super) fn matches_regex(regex: String) -> StringMatcher {
    let pattern = MatchPattern::SafeRegex(RegexMatcher { regex });
    StringMatcher { match_pattern: Some(pattern), ..StringMatcher::default() }
}
