//! How descriptors of rate limits are made of a call.

use mesh_core::filter::{DescriptorAction, DescriptorRule};
use prost::Message;
use prost::Name as _;
use xds_proto::envoy::config::core::v3::TypedExtensionConfig;
use xds_proto::envoy::config::route::v3::rate_limit::action::{
    ActionSpecifier, HeaderValueMatch, MaskedRemoteAddress,
};
use xds_proto::envoy::config::route::v3::rate_limit::{Action, HitsAddend};
use xds_proto::envoy::config::route::v3::{HeaderMatcher, RateLimit};
use xds_proto::envoy::extensions::rate_limit_descriptors::expr::v3::Descriptor;
use xds_proto::envoy::extensions::rate_limit_descriptors::expr::v3::descriptor::ExprSpecifier;

use crate::resource::invalid::{Checked, Invalid, Within};
use crate::resource::matcher::HeaderCheck;
use crate::resource::{Decoding, matcher};

/// HF-41, HF-42
pub(super) fn rule(rule: &RateLimit, context: &Decoding<'_>) -> Checked<DescriptorRule> {
    if rule.limit.is_some() {
        return Err(Invalid::at("limit", "is not supported"));
    }
    if rule.apply_on_stream_done {
        return Err(Invalid::at("apply_on_stream_done", "is not supported"));
    }
    if rule.actions.is_empty() {
        return Err(Invalid::at("actions", "must not be empty"));
    }
    let read = |(index, one): (usize, &Action)| action(one, context).within_element("actions", index);
    let mut made =
        DescriptorRule::new(rule.actions.iter().enumerate().map(read).collect::<Checked<Vec<_>>>()?);
    if let Some(hits) = &rule.hits_addend {
        made.cost = cost(hits).within("hits_addend")?;
    }
    Ok(made)
}

fn cost(hits: &HitsAddend) -> Checked<u32> {
    if !hits.format.is_empty() {
        return Err(Invalid::at("format", "is not supported"));
    }
    if hits.is_negative_hits {
        return Err(Invalid::at("is_negative_hits", "is not supported"));
    }
    let number = hits.number.map_or(1, |number| number.value);
    match u32::try_from(number) {
        Ok(cost) if number <= MAX_HITS => Ok(cost),
        _ => Err(Invalid::at("number", format!("{number} is above {MAX_HITS}"))),
    }
}

fn action(action: &Action, context: &Decoding<'_>) -> Checked<DescriptorAction> {
    let unsupported = |field| Err(Invalid::at(field, "is not supported"));
    match &action.action_specifier {
        None => Err(Invalid::new("no action is set")),
        Some(ActionSpecifier::DestinationCluster(_)) => Ok(DescriptorAction::DestinationCluster),
        Some(ActionSpecifier::RemoteAddress(_)) => Ok(DescriptorAction::RemoteAddress),
        Some(ActionSpecifier::MaskedRemoteAddress(mask)) => masked(mask).within("masked_remote_address"),
        Some(ActionSpecifier::GenericKey(fixed)) if !fixed.default_value.is_empty() => {
            unsupported("generic_key.default_value")
        }
        Some(ActionSpecifier::GenericKey(fixed)) => {
            let value = required(&fixed.descriptor_value, "descriptor_value").within("generic_key")?;
            Ok(DescriptorAction::Fixed {
                key: or(&fixed.descriptor_key, "generic_key").into(),
                value: value.into(),
            })
        }
        Some(ActionSpecifier::RequestHeaders(header)) => {
            let read = || -> Checked<_> {
                Ok(DescriptorAction::Header {
                    name: matcher::header_name(&header.header_name).within("header_name")?,
                    key: required(&header.descriptor_key, "descriptor_key")?.into(),
                    skip_if_absent: header.skip_if_absent,
                })
            };
            read().within("request_headers")
        }
        Some(ActionSpecifier::HeaderValueMatch(matched)) => {
            header_match(matched, context).within("header_value_match")
        }
        Some(ActionSpecifier::Extension(extension)) => peer_uri(extension).within("extension"),
        Some(ActionSpecifier::SourceCluster(_)) => unsupported("source_cluster"),
        Some(ActionSpecifier::QueryParameters(_)) => unsupported("query_parameters"),
        Some(ActionSpecifier::DynamicMetadata(_)) => unsupported("dynamic_metadata"),
        Some(ActionSpecifier::Metadata(_)) => unsupported("metadata"),
        Some(ActionSpecifier::QueryParameterValueMatch(_)) => unsupported("query_parameter_value_match"),
        Some(ActionSpecifier::RemoteAddressMatch(_)) => unsupported("remote_address_match"),
    }
}

fn masked(mask: &MaskedRemoteAddress) -> Checked<DescriptorAction> {
    let length = |given: Option<u32>, max: u8, field| match u8::try_from(given.unwrap_or_else(|| max.into()))
    {
        Ok(length) if length <= max => Ok(length),
        _ => Err(Invalid::at(field, format!("must be at most {max}"))),
    };
    Ok(DescriptorAction::MaskedRemoteAddress {
        v4: length(mask.v4_prefix_mask_len.map(|length| length.value), 32, "v4_prefix_mask_len")?,
        v6: length(mask.v6_prefix_mask_len.map(|length| length.value), 128, "v6_prefix_mask_len")?,
    })
}

fn header_match(matched: &HeaderValueMatch, context: &Decoding<'_>) -> Checked<DescriptorAction> {
    if !matched.default_value.is_empty() {
        return Err(Invalid::at("default_value", "is not supported"));
    }
    if matched.headers.is_empty() {
        return Err(Invalid::at("headers", "must not be empty"));
    }
    let read = |(index, header)| visible(header, context).within_element("headers", index);
    Ok(DescriptorAction::HeaderMatch {
        key: or(&matched.descriptor_key, "header_match").into(),
        value: required(&matched.descriptor_value, "descriptor_value")?.into(),
        headers: matched.headers.iter().enumerate().map(read).collect::<Checked<_>>()?,
        expect_match: matched.expect_match.is_none_or(|expect| expect.value),
    })
}

/// A condition on a header that rules can see (RT-12).
fn visible(
    header: &HeaderMatcher,
    context: &Decoding<'_>,
) -> Checked<mesh_core::policy::matcher::HeaderMatcher> {
    match matcher::header(header, context)? {
        HeaderCheck::Matcher(matcher) => Ok(matcher),
        HeaderCheck::Always | HeaderCheck::Never => {
            Err(Invalid::at("name", format!("{:?} is not visible to rules", header.name)))
        }
    }
}

/// The one expression that is known: the URI in the client's certificate.
fn peer_uri(extension: &TypedExtensionConfig) -> Checked<DescriptorAction> {
    let unsupported = |what: &str| {
        Invalid::at("typed_config", format!("{what} is not supported; the expression {PEER_URI:?} is"))
    };
    let config = extension.typed_config.as_ref().ok_or_else(|| Invalid::at("typed_config", "must be set"))?;
    if config.type_url != Descriptor::type_url() {
        return Err(unsupported(&config.type_url));
    }
    let descriptor = Descriptor::decode(&*config.value)
        .map_err(|error| Invalid::at("typed_config", format!("{}: {error}", Descriptor::full_name())))?;
    match &descriptor.expr_specifier {
        Some(ExprSpecifier::Text(text)) if text == PEER_URI => Ok(DescriptorAction::PeerUri {
            key: required(&descriptor.descriptor_key, "typed_config.descriptor_key")?.into(),
            skip_if_absent: descriptor.skip_if_error,
        }),
        Some(ExprSpecifier::Text(text)) => Err(unsupported(&format!("{text:?}"))),
        Some(ExprSpecifier::Parsed(_)) | None => Err(unsupported("an expression that is not text")),
    }
}

fn required<'a>(text: &'a str, field: &str) -> Checked<&'a str> {
    if text.is_empty() { Err(Invalid::at(field, "must be set")) } else { Ok(text) }
}

fn or<'a>(text: &'a str, default: &'a str) -> &'a str {
    if text.is_empty() { default } else { text }
}

const PEER_URI: &str = "connection.uri_san_peer_certificate";

const MAX_HITS: u64 = 1_000_000_000;
