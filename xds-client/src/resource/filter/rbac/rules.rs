//! Policies and permissions.

use std::net::IpAddr;
use std::ops::Range;

use mesh_core::policy::matcher::{HeaderCondition, HeaderRule, StringMatcher, StringPattern};
use mesh_core::policy::rbac::{IpRange, Permission, RbacAction, RbacPolicy, RbacRules, RequestHeaderMatcher};
use xds_proto::envoy::config::core::v3::CidrRange;
use xds_proto::envoy::config::rbac::v3 as proto;
use xds_proto::envoy::config::rbac::v3::permission::Rule;
use xds_proto::envoy::config::rbac::v3::rbac::Action;
use xds_proto::envoy::config::route::v3::HeaderMatcher;
use xds_proto::envoy::r#type::matcher::v3::{PathMatcher, path_matcher};
use xds_proto::envoy::r#type::v3::Int32Range;

use crate::resource::Decoding;
use crate::resource::invalid::{Checked, Invalid, Within};
use crate::resource::matcher;

use super::principal;

/// Reads rules. What is not supported refuses them: a rule that is left out would turn a negation, or a denial, around.
// HF-18, SEC-04
pub(super) fn read(rules: &proto::Rbac, context: &Decoding<'_>) -> Checked<RbacRules> {
    let action = match Action::try_from(rules.action) {
        Ok(Action::Allow) => RbacAction::Allow,
        Ok(Action::Deny) => RbacAction::Deny,
        // HF-17: ignored as if there were no rules, whatever the policies are; but audit loggers are told about the calls they match
        Ok(Action::Log) if rules.audit_logging_options.is_some() => RbacAction::Log,
        Ok(Action::Log) => return Ok(RbacRules::new(RbacAction::Log, [])),
        Err(_) => return Err(Invalid::at("action", format!("{} is not an action", rules.action))),
    };
    let policy =
        |(name, proto): (&String, &proto::Policy)| policy(name, proto, context).within_key("policies", name);
    let policies = rules.policies.iter().map(policy).collect::<Checked<Vec<_>>>()?;
    Ok(RbacRules::new(action, policies))
}

fn policy(name: &str, policy: &proto::Policy, context: &Decoding<'_>) -> Checked<RbacPolicy> {
    let expressions = [
        ("condition", policy.condition.is_some()),
        ("checked_condition", policy.checked_condition.is_some()),
        ("cel_config", policy.cel_config.is_some()),
    ];
    if let Some((field, _)) = expressions.into_iter().find(|(_, set)| *set) {
        return Err(Invalid::at(field, "CEL is not supported"));
    }
    let permissions = list(&policy.permissions, "permissions", |each| permission(each, context))?;
    let principals = list(&policy.principals, "principals", |each| principal::read(each, context))?;
    Ok(RbacPolicy::new(name, permissions, principals))
}

/// A list with at least one element, as the API demands.
pub(super) fn list<P, T>(protos: &[P], field: &str, read: impl Fn(&P) -> Checked<T>) -> Checked<Vec<T>> {
    if protos.is_empty() {
        return Err(Invalid::at(field, "must not be empty"));
    }
    let element = |(index, proto)| read(proto).within_element(field, index);
    protos.iter().enumerate().map(element).collect()
}

#[expect(deprecated, reason = "control planes still send the old rules")]
fn permission(permission: &proto::Permission, context: &Decoding<'_>) -> Checked<Permission> {
    let set =
        |set: &proto::permission::Set| list(&set.rules, "rules", |each| self::permission(each, context));
    Ok(match permission.rule.as_ref() {
        Some(Rule::AndRules(rules)) => Permission::All(set(rules).within("and_rules")?),
        Some(Rule::OrRules(rules)) => Permission::AnyOf(set(rules).within("or_rules")?),
        Some(Rule::NotRule(rule)) => {
            Permission::Not(Box::new(self::permission(rule, context).within("not_rule")?))
        }
        Some(Rule::Any(any)) => {
            is_true(*any)?;
            Permission::Any
        }
        Some(Rule::Header(rule)) => Permission::Header(header(rule, context).within("header")?),
        Some(Rule::UrlPath(path)) => Permission::UrlPath(url_path(path, context).within("url_path")?),
        Some(Rule::DestinationIp(range)) => {
            Permission::DestinationIp(ip_range(range).within("destination_ip")?)
        }
        Some(Rule::DestinationPort(port)) if *port <= MAX_PORT => {
            Permission::DestinationPort(*port..port + 1)
        }
        Some(Rule::DestinationPort(port)) => {
            return Err(Invalid::at("destination_port", format!("{port} is above {MAX_PORT}")));
        }
        Some(Rule::DestinationPortRange(range)) => {
            Permission::DestinationPort(ports(*range).within("destination_port_range")?)
        }
        Some(Rule::Metadata(rule)) => {
            Permission::Metadata(matcher::metadata(rule, context).within("metadata")?)
        }
        Some(Rule::SourcedMetadata(rule)) => {
            Permission::Metadata(sourced(rule, context).within("sourced_metadata")?)
        }
        Some(Rule::RequestedServerName(name)) => {
            Permission::RequestedServerName(matcher::string(name, context).within("requested_server_name")?)
        }
        Some(Rule::Matcher(_)) => return Err(Invalid::at("matcher", "is not supported")),
        Some(Rule::UriTemplate(_)) => return Err(Invalid::at("uri_template", "is not supported")),
        None => return Err(Invalid::new("no rule that is known is set")),
    })
}

pub(super) fn is_true(any: bool) -> Checked<()> {
    if any { Ok(()) } else { Err(Invalid::at("any", "must be true")) }
}

// HF-18, SEC-07
pub(super) fn header(rule: &HeaderMatcher, context: &Decoding<'_>) -> Checked<RequestHeaderMatcher> {
    let mut condition = matcher::header_condition(rule, context)?;
    if ["host", ":authority"].iter().any(|name| name.eq_ignore_ascii_case(&rule.name)) {
        ignore_case(&mut condition, context)?;
    }
    RequestHeaderMatcher::new(&rule.name, condition).within("name")
}

/// Compiles an expression over authorities here, where it counts (SEC-06).
fn ignore_case(condition: &mut HeaderCondition, context: &Decoding<'_>) -> Checked<()> {
    if let HeaderRule::Value(StringMatcher { pattern: StringPattern::Regex(regex), .. }) = &mut condition.rule
    {
        *regex = context.full_regex(&format!("(?i){}", regex.as_str()))?;
    }
    Ok(())
}

pub(super) fn url_path(path: &PathMatcher, context: &Decoding<'_>) -> Checked<StringMatcher> {
    match &path.rule {
        Some(path_matcher::Rule::Path(path)) => matcher::string(path, context).within("path"),
        None => Err(Invalid::at("path", "must be set")),
    }
}

/// B6: a range without a length is one host. Envoy takes it for all addresses of the family, which would open an ALLOW rule to all.
pub(super) fn ip_range(range: &CidrRange) -> Checked<IpRange> {
    let address: IpAddr = range.address_prefix.parse().map_err(|_| {
        Invalid::at("address_prefix", format!("{:?} is not an IP address", range.address_prefix))
    })?;
    let too_long = |length: &u32| Invalid::at("prefix_len", format!("{length} is longer than an address"));
    let length = range.prefix_len.as_ref().map(|length| length.value);
    let length = length.map(|length| u8::try_from(length).map_err(|_| too_long(&length))).transpose()?;
    IpRange::new(address, length).within("prefix_len")
}

fn ports(range: Int32Range) -> Checked<Range<u32>> {
    match (u32::try_from(range.start), u32::try_from(range.end)) {
        (Ok(start), Ok(end)) if start < end && end <= MAX_PORT + 1 => Ok(start..end),
        _ => Err(Invalid::new(format!("[{}, {}) is not a range of ports", range.start, range.end))),
    }
}

pub(super) fn sourced(
    rule: &proto::SourcedMetadata,
    context: &Decoding<'_>,
) -> Checked<mesh_core::policy::matcher::MetadataMatcher> {
    if proto::MetadataSource::try_from(rule.metadata_source) != Ok(proto::MetadataSource::Dynamic) {
        return Err(Invalid::at("metadata_source", "only DYNAMIC is supported"));
    }
    let inner =
        rule.metadata_matcher.as_ref().ok_or_else(|| Invalid::at("metadata_matcher", "must be set"))?;
    matcher::metadata(inner, context).within("metadata_matcher")
}

const MAX_PORT: u32 = 65_535;
