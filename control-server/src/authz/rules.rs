//! Rules of RBAC, with a third answer for what is not known.

use std::net::IpAddr;

use regex::Regex;
use serde_json::Value;
use xds_proto::envoy::config::core::v3::CidrRange;
use xds_proto::envoy::config::rbac::v3::permission::Rule;
use xds_proto::envoy::config::rbac::v3::principal::Identifier;
use xds_proto::envoy::config::rbac::v3::{Permission, Policy, Principal};
use xds_proto::envoy::config::route::v3::HeaderMatcher;
use xds_proto::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use xds_proto::envoy::r#type::matcher::v3::metadata_matcher::path_segment::Segment;
use xds_proto::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use xds_proto::envoy::r#type::matcher::v3::value_matcher::MatchPattern as ValuePattern;
use xds_proto::envoy::r#type::matcher::v3::{
    MetadataMatcher, StringMatcher, ValueMatcher, list_matcher, path_matcher,
};

use super::Call;

/// Whether a rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Yes,
    No,
    /// The call does not say it.
    Unknown,
}

impl Answer {
    const fn of(is_so: bool) -> Self {
        if is_so { Self::Yes } else { Self::No }
    }

    /// All of them.
    fn all(answers: impl Iterator<Item = Self>) -> Self {
        answers.fold(Self::Yes, |all, one| match (all, one) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, Self::Yes) => Self::Yes,
            _ => Self::Unknown,
        })
    }

    /// Any of them.
    fn any(answers: impl Iterator<Item = Self>) -> Self {
        Self::all(answers.map(Self::not)).not()
    }

    const fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
        }
    }
}

pub(super) fn policy(policy: &Policy, call: &Call) -> Answer {
    let permissions = Answer::any(policy.permissions.iter().map(|one| permission(one, call)));
    let principals = Answer::any(policy.principals.iter().map(|one| principal(one, call)));
    Answer::all([permissions, principals].into_iter())
}

fn permission(permission: &Permission, call: &Call) -> Answer {
    let Some(rule) = &permission.rule else { return Answer::Unknown };
    match rule {
        Rule::AndRules(set) => Answer::all(set.rules.iter().map(|one| self::permission(one, call))),
        Rule::OrRules(set) => Answer::any(set.rules.iter().map(|one| self::permission(one, call))),
        Rule::NotRule(rule) => self::permission(rule, call).not(),
        Rule::Any(any) => Answer::of(*any),
        Rule::Header(matcher) => header(matcher, call),
        Rule::UrlPath(matcher) => match (&matcher.rule, &call.path) {
            (Some(path_matcher::Rule::Path(matcher)), Some(path)) => Answer::of(matches(matcher, path)),
            _ => Answer::Unknown,
        },
        Rule::DestinationPort(port) => Answer::of(*port == call.port),
        _ => Answer::Unknown,
    }
}

fn principal(principal: &Principal, call: &Call) -> Answer {
    let Some(identifier) = &principal.identifier else { return Answer::Unknown };
    match identifier {
        Identifier::AndIds(set) => Answer::all(set.ids.iter().map(|one| self::principal(one, call))),
        Identifier::OrIds(set) => Answer::any(set.ids.iter().map(|one| self::principal(one, call))),
        Identifier::NotId(id) => self::principal(id, call).not(),
        Identifier::Any(any) => Answer::of(*any),
        Identifier::Authenticated(authenticated) => match (&call.principal, &authenticated.principal_name) {
            (None, _) => Answer::No,
            (Some(_), None) => Answer::Yes,
            (Some(name), Some(matcher)) => Answer::of(matches(matcher, name)),
        },
        Identifier::DirectRemoteIp(range) | Identifier::RemoteIp(range) => {
            call.address.map_or(Answer::Unknown, |address| Answer::of(is_in(address, range)))
        }
        Identifier::Header(matcher) => header(matcher, call),
        #[expect(deprecated, reason = "the field that gRPC reads (A41)")]
        Identifier::Metadata(matcher) => Answer::of(metadata(matcher, call)),
        _ => Answer::Unknown,
    }
}

#[expect(deprecated, reason = "the fields that every version of gRPC reads")]
fn header(matcher: &HeaderMatcher, call: &Call) -> Answer {
    let value = match matcher.name.as_str() {
        ":method" => Some(&call.method),
        ":authority" if call.host.is_none() => return Answer::Unknown,
        ":authority" => call.host.as_ref(),
        name => call.headers.get(name),
    };
    let Some(specifier) = &matcher.header_match_specifier else { return Answer::Unknown };
    let found = match (specifier, value) {
        (HeaderMatchSpecifier::PresentMatch(wanted), value) => *wanted == value.is_some(),
        (_, None) => false,
        (HeaderMatchSpecifier::ExactMatch(text), Some(value)) => value == text,
        (HeaderMatchSpecifier::PrefixMatch(text), Some(value)) => value.starts_with(text),
        (HeaderMatchSpecifier::SuffixMatch(text), Some(value)) => value.ends_with(text),
        (HeaderMatchSpecifier::StringMatch(matcher), Some(value)) => matches(matcher, value),
        _ => return Answer::Unknown,
    };
    Answer::of(found)
}

fn matches(matcher: &StringMatcher, text: &str) -> bool {
    match &matcher.match_pattern {
        Some(MatchPattern::Exact(wanted)) => text == wanted,
        Some(MatchPattern::Prefix(prefix)) => text.starts_with(prefix),
        Some(MatchPattern::Suffix(suffix)) => text.ends_with(suffix),
        Some(MatchPattern::Contains(part)) => text.contains(part),
        Some(MatchPattern::SafeRegex(regex)) => {
            Regex::new(&format!("^(?:{})$", regex.regex)).is_ok_and(|regex| regex.is_match(text))
        }
        _ => false,
    }
}

/// Families never mix (B6 of the identity cases).
fn is_in(address: IpAddr, range: &CidrRange) -> bool {
    let length = range.prefix_len.unwrap_or_default().value;
    match (address.to_canonical(), range.address_prefix.parse()) {
        (IpAddr::V4(address), Ok(IpAddr::V4(prefix))) => {
            let shift = 32_u32.saturating_sub(length);
            (u32::from(address) ^ u32::from(prefix)).checked_shr(shift).unwrap_or(0) == 0
        }
        (IpAddr::V6(address), Ok(IpAddr::V6(prefix))) => {
            let shift = 128_u32.saturating_sub(length);
            (u128::from(address) ^ u128::from(prefix)).checked_shr(shift).unwrap_or(0) == 0
        }
        _ => false,
    }
}

/// The claims stand below the step that names them.
fn metadata(matcher: &MetadataMatcher, call: &Call) -> bool {
    let Some(claims) = &call.claims else { return false };
    let mut steps = matcher.path.iter().filter_map(|step| step.segment.as_ref()).skip(1);
    let value = steps.try_fold(claims, |value, Segment::Key(key)| value.get(key));
    let found = value.zip(matcher.value.as_ref());
    found.is_some_and(|(value, matcher)| has_value(matcher, value)) != matcher.invert
}

fn has_value(matcher: &ValueMatcher, value: &Value) -> bool {
    match (&matcher.match_pattern, value) {
        (Some(ValuePattern::StringMatch(matcher)), Value::String(text)) => matches(matcher, text),
        (Some(ValuePattern::PresentMatch(wanted)), _) => *wanted,
        (Some(ValuePattern::ListMatch(list)), Value::Array(items)) => match &list.match_pattern {
            Some(list_matcher::MatchPattern::OneOf(matcher)) => {
                items.iter().any(|item| has_value(matcher, item))
            }
            None => false,
        },
        _ => false,
    }
}
