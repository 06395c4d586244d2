//! What gRPC refuses, read from grpc-go's validation and the gRFCs, and written once more: a second opinion that shares
//! no code with the client's own.

pub(crate) mod cluster;
pub(crate) mod endpoints;
pub(crate) mod listener;
pub(crate) mod route;
mod tls;

use std::collections::HashMap;

use mesh_core::policy::matcher::FullRegex;
use prost::Message;
use xds_proto::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use xds_proto::envoy::config::core::v3::{Address, ConfigSource, Metadata};
use xds_proto::envoy::extensions::filters::http::gcp_authn::v3::Audience;
use xds_proto::envoy::r#type::matcher::v3::StringMatcher;
use xds_proto::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use xds_proto::google::protobuf::Any;

/// Why gRPC refuses the resource.
pub(crate) type Refusal = &'static str;

/// The verdict of gRPC.
pub(crate) type Verdict = Result<(), Refusal>;

pub(crate) fn expect(holds: bool, refusal: Refusal) -> Verdict {
    if holds { Ok(()) } else { Err(refusal) }
}

fn regex(pattern: &str) -> Verdict {
    expect(FullRegex::new(pattern).is_ok(), "regular expression")
}

fn string(matcher: &StringMatcher) -> Verdict {
    match &matcher.match_pattern {
        Some(MatchPattern::Exact(_)) => Ok(()),
        Some(MatchPattern::Prefix(text) | MatchPattern::Suffix(text) | MatchPattern::Contains(text)) => {
            expect(!text.is_empty(), "empty string matcher")
        }
        Some(MatchPattern::SafeRegex(matcher)) => regex(&matcher.regex),
        Some(MatchPattern::Custom(_)) | None => Err("unrecognised string matcher"),
    }
}

fn ads_or_self(source: Option<&ConfigSource>) -> bool {
    let specifier = source.and_then(|source| source.config_source_specifier.as_ref());
    matches!(specifier, Some(ConfigSourceSpecifier::Ads(_) | ConfigSourceSpecifier::Self_(_)))
}

/// Registered types of typed metadata have to be valid.
fn metadata(metadata: Option<&Metadata>) -> Verdict {
    let Some(metadata) = metadata else { return Ok(()) };
    for any in metadata.typed_filter_metadata.values() {
        match type_name(any) {
            "envoy.extensions.filters.http.gcp_authn.v3.Audience" => {
                let valid = Audience::decode(&*any.value).is_ok_and(|audience| !audience.url.is_empty());
                expect(valid, "audience in metadata")?;
            }
            "envoy.config.core.v3.Address" => {
                expect(Address::decode(&*any.value).is_ok(), "address in metadata")?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Overrides of filters: none that the samples hold is known to every client, so that they have to be optional.
fn overrides(overrides: &HashMap<String, Any>, known: &[&str]) -> Verdict {
    use xds_proto::envoy::config::route::v3::FilterConfig;
    for any in overrides.values() {
        let (mut config, mut optional) = (any.clone(), false);
        if type_name(any) == "envoy.config.route.v3.FilterConfig" {
            let wrapper = FilterConfig::decode(&*any.value).map_err(|_| "filter override")?;
            if wrapper.disabled {
                continue;
            }
            (config, optional) = (wrapper.config.unwrap_or_default(), wrapper.is_optional);
        }
        expect(
            optional || known.contains(&&*extension_type(&config)?),
            "filter override of an unknown type",
        )?;
    }
    Ok(())
}

fn type_name(any: &Any) -> &str {
    any.type_url.rsplit('/').next().unwrap_or_default()
}

/// The type of an extension's configuration, also of one that is written as a struct.
fn extension_type(any: &Any) -> Result<String, Refusal> {
    let name = type_name(any);
    if !["xds.type.v3.TypedStruct", "udpa.type.v1.TypedStruct"].contains(&name) {
        return Ok(name.to_owned());
    }
    let typed = TypedStruct::decode(&*any.value).map_err(|_| "typed struct")?;
    Ok(typed.type_url.rsplit('/').next().unwrap_or_default().to_owned())
}

/// The part of a struct that says which type it stands for.
#[derive(Clone, PartialEq, Message)]
struct TypedStruct {
    #[prost(string, tag = "1")]
    type_url: String,
}
