//! Matchers of strings, paths and headers.

use http::HeaderName;
use mesh_core::policy::matcher::{
    FullRegex, HeaderCondition, HeaderMatcher, HeaderRule, MetadataMatcher, StringMatcher, StringPattern,
    ValueMatcher,
};
use xds_proto::envoy::config::route::v3 as route;
use xds_proto::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use xds_proto::envoy::r#type::matcher::v3 as proto;
use xds_proto::envoy::r#type::matcher::v3::double_matcher::MatchPattern as DoublePattern;
use xds_proto::envoy::r#type::matcher::v3::list_matcher::MatchPattern as ListPattern;
use xds_proto::envoy::r#type::matcher::v3::metadata_matcher::path_segment::Segment;
use xds_proto::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use xds_proto::envoy::r#type::matcher::v3::value_matcher::MatchPattern as ValuePattern;

use super::Decoding;
use super::invalid::{Checked, Invalid, Within};

/// The result of reading a header matcher.
#[derive(Debug)]
pub(super) enum HeaderCheck {
    /// Evaluated for each request.
    Matcher(HeaderMatcher),
    /// True for every request.
    Always,
    /// True for none.
    Never,
}

/// RV-07; `max_program_size` is not read.
pub(super) fn regex(matcher: &proto::RegexMatcher, context: &Decoding<'_>) -> Checked<FullRegex> {
    context.full_regex(&matcher.regex).within("regex")
}

// RV-06
pub(super) fn string(matcher: &proto::StringMatcher, context: &Decoding<'_>) -> Checked<StringMatcher> {
    let pattern = match &matcher.match_pattern {
        Some(MatchPattern::Exact(text)) => StringPattern::Exact(text.clone()),
        Some(MatchPattern::Prefix(text)) => StringPattern::Prefix(not_empty(text).within("prefix")?),
        Some(MatchPattern::Suffix(text)) => StringPattern::Suffix(not_empty(text).within("suffix")?),
        Some(MatchPattern::Contains(text)) => StringPattern::Contains(not_empty(text).within("contains")?),
        Some(MatchPattern::SafeRegex(matcher)) => {
            StringPattern::Regex(regex(matcher, context).within("safe_regex")?)
        }
        Some(MatchPattern::Custom(_)) => return Err(Invalid::at("custom", "is not supported")),
        None => return Err(Invalid::new("expected exact, prefix, suffix, contains or safe_regex")),
    };
    Ok(StringMatcher { pattern, ignore_case: matcher.ignore_case })
}

// RDS-08
pub(super) fn header(matcher: &route::HeaderMatcher, context: &Decoding<'_>) -> Checked<HeaderCheck> {
    let condition = header_condition(matcher, context)?;
    if matcher.name.starts_with(':') {
        // RT-12, RT-13: not visible, and a header that is missing matches only by its absence.
        return match condition.matches(None) {
            true => Ok(HeaderCheck::Always),
            false => Ok(HeaderCheck::Never),
        };
    }
    let name = header_name(&matcher.name).within("name")?;
    Ok(HeaderCheck::Matcher(HeaderMatcher::new(name, condition)))
}

/// The condition of a header matcher, whatever its header.
pub(super) fn header_condition(
    matcher: &route::HeaderMatcher,
    context: &Decoding<'_>,
) -> Checked<HeaderCondition> {
    let rule = header_rule(matcher.header_match_specifier.as_ref(), context)?;
    let condition = HeaderCondition::from(rule).with_invert(matcher.invert_match);
    // RT-15
    Ok(condition.with_missing_as_empty(matcher.treat_missing_header_as_empty))
}

/// A header's name in lower case (RT-10).
pub(super) fn header_name(name: &str) -> Checked<HeaderName> {
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| Invalid::new(format!("{name:?} is not a header's name")))
}

#[expect(deprecated, reason = "control planes still send the old specifiers")]
fn header_rule(specifier: Option<&HeaderMatchSpecifier>, context: &Decoding<'_>) -> Checked<HeaderRule> {
    let value = |pattern| HeaderRule::Value(StringMatcher { pattern, ignore_case: false });
    Ok(match specifier {
        None => HeaderRule::Present(true),
        Some(HeaderMatchSpecifier::PresentMatch(present)) => HeaderRule::Present(*present),
        Some(HeaderMatchSpecifier::RangeMatch(range)) => HeaderRule::Range(range.start..range.end),
        Some(HeaderMatchSpecifier::StringMatch(matcher)) => {
            HeaderRule::Value(string(matcher, context).within("string_match")?)
        }
        Some(HeaderMatchSpecifier::ExactMatch(text)) => value(StringPattern::Exact(text.clone())),
        Some(HeaderMatchSpecifier::PrefixMatch(text)) => {
            value(StringPattern::Prefix(not_empty(text).within("prefix_match")?))
        }
        Some(HeaderMatchSpecifier::SuffixMatch(text)) => {
            value(StringPattern::Suffix(not_empty(text).within("suffix_match")?))
        }
        Some(HeaderMatchSpecifier::ContainsMatch(text)) => {
            value(StringPattern::Contains(not_empty(text).within("contains_match")?))
        }
        Some(HeaderMatchSpecifier::SafeRegexMatch(matcher)) => {
            value(StringPattern::Regex(regex(matcher, context).within("safe_regex_match")?))
        }
    })
}

/// A matcher of what filters have found out about a call. What it cannot say is refused, also inside.
pub(super) fn metadata(matcher: &proto::MetadataMatcher, context: &Decoding<'_>) -> Checked<MetadataMatcher> {
    let namespace = not_empty(&matcher.filter).within("filter")?;
    if matcher.path.is_empty() {
        return Err(Invalid::at("path", "must not be empty"));
    }
    let step = |(index, segment): (usize, &proto::metadata_matcher::PathSegment)| match &segment.segment {
        Some(Segment::Key(key)) => not_empty(key).within("key").within_element("path", index),
        None => Err(Invalid::new("key must be set")).within_element("path", index),
    };
    let path = matcher.path.iter().enumerate().map(step).collect::<Checked<Vec<_>>>()?;
    let value = matcher.value.as_ref().ok_or_else(|| Invalid::new("must be set"));
    let value = value.and_then(|value| metadata_value(value, context)).within("value")?;
    Ok(MetadataMatcher::new(namespace, path, value).with_invert(matcher.invert))
}

fn metadata_value(value: &proto::ValueMatcher, context: &Decoding<'_>) -> Checked<ValueMatcher> {
    Ok(match &value.match_pattern {
        Some(ValuePattern::NullMatch(_)) => ValueMatcher::Null,
        Some(ValuePattern::DoubleMatch(number)) => match &number.match_pattern {
            Some(DoublePattern::Exact(number)) => ValueMatcher::Number(*number),
            Some(DoublePattern::Range(range)) => ValueMatcher::NumberRange(range.start..range.end),
            None => return Err(Invalid::at("double_match", "expected range or exact")),
        },
        Some(ValuePattern::StringMatch(text)) => {
            ValueMatcher::Text(string(text, context).within("string_match")?)
        }
        Some(ValuePattern::BoolMatch(expected)) => ValueMatcher::Bool(*expected),
        Some(ValuePattern::PresentMatch(present)) => ValueMatcher::Present(*present),
        Some(ValuePattern::ListMatch(list)) => match &list.match_pattern {
            Some(ListPattern::OneOf(element)) => {
                let element = metadata_value(element, context).within("one_of").within("list_match")?;
                ValueMatcher::OneOf(Box::new(element))
            }
            None => return Err(Invalid::at("list_match", "expected one_of")),
        },
        Some(ValuePattern::OrMatch(any)) => {
            let read =
                |(index, value)| metadata_value(value, context).within_element("value_matchers", index);
            let values = any.value_matchers.iter().enumerate().map(read).collect::<Checked<Vec<_>>>();
            ValueMatcher::AnyOf(values.within("or_match")?)
        }
        None => return Err(Invalid::new("no pattern that is known is set")),
    })
}

fn not_empty(text: &str) -> Checked<String> {
    match text {
        "" => Err(Invalid::new("must not be empty")),
        text => Ok(text.to_owned()),
    }
}
