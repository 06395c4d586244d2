//! The parts of a request's hash (gRFC A42).

use mesh_core::config::HashPolicy;
use mesh_core::policy::matcher::CapturingRegex;
use xds_proto::envoy::config::route::v3::route_action::HashPolicy as Proto;
use xds_proto::envoy::config::route::v3::route_action::hash_policy::PolicySpecifier;
use xds_proto::envoy::r#type::matcher::v3::RegexMatchAndSubstitute;

use crate::resource::Decoding;
use crate::resource::invalid::{Checked, Invalid, Within};
use crate::resource::matcher::header_name;

/// RDS-17: kinds other than a header and the channel's id are skipped.
pub(super) fn read(policies: &[Proto], context: &Decoding<'_>) -> Checked<Vec<HashPolicy>> {
    let policy = |(index, policy)| one(policy, context).within_element("hash_policy", index).transpose();
    policies.iter().enumerate().filter_map(policy).collect()
}

fn one(policy: &Proto, context: &Decoding<'_>) -> Checked<Option<HashPolicy>> {
    let terminal = policy.terminal;
    match &policy.policy_specifier {
        // A pseudo-header is never visible, so this counts as an unknown kind.
        Some(PolicySpecifier::Header(header)) if header.header_name.starts_with(':') => Ok(None),
        Some(PolicySpecifier::Header(header)) => {
            let name = header_name(&header.header_name).within("header.header_name")?;
            let rewrite =
                header.regex_rewrite.as_ref().map(|proto| regex_rewrite(proto, context)).transpose();
            let rewrite = rewrite.within("header.regex_rewrite")?;
            Ok(Some(HashPolicy::Header { name, rewrite, terminal }))
        }
        Some(PolicySpecifier::FilterState(state)) if state.key == CHANNEL_ID => {
            Ok(Some(HashPolicy::ChannelId { terminal }))
        }
        _ => Ok(None),
    }
}

/// An expression, and the text for its matches in which `${1}` is the first group.
pub(super) fn regex_rewrite(
    rewrite: &RegexMatchAndSubstitute,
    context: &Decoding<'_>,
) -> Checked<(CapturingRegex, String)> {
    let pattern = rewrite.pattern.as_ref().ok_or_else(|| Invalid::at("pattern", "must be set"))?;
    let regex = context.capturing_regex(&pattern.regex).within("pattern.regex")?;
    let text = replacement(&rewrite.substitution, regex.groups()).within("substitution")?;
    Ok((regex, text))
}

/// From RE2's `\1` to `${1}`.
fn replacement(substitution: &str, groups: usize) -> Checked<String> {
    let mut text = String::with_capacity(substitution.len());
    let mut characters = substitution.chars();
    while let Some(character) = characters.next() {
        match character {
            '$' => text.push_str("$$"),
            '\\' => match characters.next() {
                Some('\\') => text.push('\\'),
                Some(digit) if digit.to_digit(10).is_some_and(|group| (group as usize) < groups) => {
                    text.push_str(&format!("${{{digit}}}"));
                }
                _ => return Err(Invalid::new("expected \\\\ or \\ and the number of a group")),
            },
            other => text.push(other),
        }
    }
    Ok(text)
}

const CHANNEL_ID: &str = "io.grpc.channel_id";
