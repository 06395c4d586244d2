//! Conditions about the claims of a token, which the filter that validates it leaves for authorization.

use xds_proto::envoy::config::rbac::v3::Principal;
use xds_proto::envoy::config::rbac::v3::principal::Identifier;
use xds_proto::envoy::r#type::matcher::v3::metadata_matcher::{PathSegment, path_segment::Segment};
use xds_proto::envoy::r#type::matcher::v3::value_matcher::MatchPattern;
use xds_proto::envoy::r#type::matcher::v3::{ListMatcher, MetadataMatcher, ValueMatcher, list_matcher};

use super::logic::{Condition, principal as test};
use super::operation::string_matcher;
use super::tokens::{FILTER, PAYLOAD};
use crate::kinds::authorization::Text;

type Caller = Condition<Principal>;

/// The caller's token has this principal: the issuer, a slash, the subject. Both may have slashes: any of them may be the one.
pub(super) fn principal(value: &str) -> Caller {
    let text = Text::parse(value);
    let literal = text.literal();
    let splits = literal.match_indices('/').map(|(slash, _)| (&literal[..slash], &literal[slash + 1..]));
    let both =
        |issuer: Text<'_>, subject: Text<'_>| Caller::all([claim("iss", issuer), claim("sub", subject)]);
    // What ends at a slash leaves the other part open; J7 of the identity cases: it is never empty.
    match text {
        Text::Present => both(Text::Present, Text::Present),
        Text::Exact(_) => {
            Caller::any(splits.map(|(issuer, subject)| both(Text::Exact(issuer), Text::Exact(subject))))
        }
        Text::Prefix(prefix) => {
            let within_issuer = both(Text::Prefix(prefix), Text::Present);
            let with_subject = splits.map(|(issuer, subject)| {
                let subject = if subject.is_empty() { Text::Present } else { Text::Prefix(subject) };
                both(Text::Exact(issuer), subject)
            });
            Caller::any(std::iter::once(within_issuer).chain(with_subject))
        }
        Text::Suffix(suffix) => {
            let within_subject = both(Text::Present, Text::Suffix(suffix));
            let with_issuer = splits.map(|(issuer, subject)| {
                let issuer = if issuer.is_empty() { Text::Present } else { Text::Suffix(issuer) };
                both(issuer, Text::Exact(subject))
            });
            Caller::any(std::iter::once(within_subject).chain(with_issuer))
        }
    }
}

fn claim(name: &str, text: Text<'_>) -> Caller {
    let value = MatchPattern::StringMatch(string_matcher(text));
    Caller::Test(matcher(&[name.to_owned()], value))
}

/// A claim, by the steps to it, has this value or holds it in a list.
pub(super) fn value(path: &[String], value: &str) -> Caller {
    let text = string_matcher(Text::parse(value));
    let one = ValueMatcher { match_pattern: Some(MatchPattern::StringMatch(text.clone())) };
    let one_of = ListMatcher { match_pattern: Some(list_matcher::MatchPattern::OneOf(Box::new(one))) };
    Caller::any([
        Caller::Test(matcher(path, MatchPattern::StringMatch(text))),
        Caller::Test(matcher(path, MatchPattern::ListMatch(Box::new(one_of)))),
    ])
}

#[expect(deprecated, reason = "the field that gRPC reads (A41)")]
fn matcher(path: &[String], value: MatchPattern) -> Principal {
    let steps = std::iter::once(PAYLOAD).chain(path.iter().map(String::as_str));
    test(Identifier::Metadata(MetadataMatcher {
        filter: FILTER.to_owned(),
        path: steps.map(|key| PathSegment { segment: Some(Segment::Key(key.to_owned())) }).collect(),
        value: Some(ValueMatcher { match_pattern: Some(value) }),
        invert: false,
    }))
}
