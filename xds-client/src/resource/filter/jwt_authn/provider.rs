//! Whose tokens are believed.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Uri};
use mesh_core::policy::jwt::{
    ClaimHeader, JwtProvider, KeySet, KeySource, PayloadHeader, RemoteKeys, TokenLocation,
};
use xds_proto::envoy::config::core::v3::DataSource;
use xds_proto::envoy::config::core::v3::data_source::Specifier;
use xds_proto::envoy::extensions::filters::http::jwt_authn::v3 as proto;
use xds_proto::envoy::extensions::filters::http::jwt_authn::v3::jwt_provider::JwksSourceSpecifier;

use crate::resource::fields::{duration, optional_duration};
use crate::resource::invalid::{Checked, Invalid, Within};
use crate::resource::{Decoding, matcher};

use super::requirement::audiences;

/// Reads a provider.
pub(super) fn read(proto: &proto::JwtProvider, context: &Decoding<'_>) -> Checked<JwtProvider> {
    unsupported(proto)?;
    let keys = match &proto.jwks_source_specifier {
        Some(JwksSourceSpecifier::LocalJwks(source)) => inline(source).within("local_jwks")?,
        Some(JwksSourceSpecifier::RemoteJwks(source)) => remote(source).within("remote_jwks")?,
        None => return Err(Invalid::new("expected local_jwks or remote_jwks")),
    };
    let mut provider = JwtProvider::new(proto.issuer.as_str(), keys);
    if proto.issuer.is_empty() {
        provider.issuer = None;
    }
    if !proto.audiences.is_empty() {
        provider.audiences = Some(audiences(&proto.audiences)?);
    }
    let subjects = proto.subjects.as_ref().map(|subjects| matcher::string(subjects, context));
    provider.subjects = subjects.transpose().within("subjects")?;
    provider.require_expiration = proto.require_expiration;
    provider.max_lifetime = optional_duration(proto.max_lifetime.as_ref(), "max_lifetime")?;
    // HF-43
    if proto.clock_skew_seconds > 0 {
        provider.leeway = Duration::from_secs(proto.clock_skew_seconds.into());
    }
    let locations = locations(proto)?;
    if !locations.is_empty() {
        provider.locations = locations;
    }
    provider.forward = proto.forward;
    if !proto.forward_payload_header.is_empty() {
        let mut header = PayloadHeader::new(name(&proto.forward_payload_header, "forward_payload_header")?);
        header.is_padded = proto.pad_forward_payload_header;
        provider.payload_header = Some(header);
    }
    for (index, claim) in proto.claim_to_headers.iter().enumerate() {
        let read = claim_header(claim).within_element("claim_to_headers", index)?;
        provider.claim_headers.push(read);
    }
    let field = |text: &String| (!text.is_empty()).then(|| text.clone());
    provider.payload_field = field(&proto.payload_in_metadata);
    provider.header_field = field(&proto.header_in_metadata);
    if let Some(normalize) = &proto.normalize_payload_in_metadata {
        provider.split_claims.clone_from(&normalize.space_delimited_claims);
    }
    Ok(provider)
}

/// Fields that would change what is let through, or what later filters see, and have no effect here.
fn unsupported(proto: &proto::JwtProvider) -> Checked<()> {
    let fields = [
        ("failed_status_in_metadata", !proto.failed_status_in_metadata.is_empty()),
        ("jwt_cache_config", proto.jwt_cache_config.is_some()),
        // HF-07: no filter changes the route
        ("clear_route_cache", proto.clear_route_cache),
    ];
    match fields.into_iter().find(|(_, is_set)| *is_set) {
        Some((field, _)) => Err(Invalid::at(field, "is not supported")),
        None => Ok(()),
    }
}

fn inline(source: &DataSource) -> Checked<KeySource> {
    let text = match &source.specifier {
        Some(Specifier::InlineString(text)) => text.as_bytes(),
        Some(Specifier::InlineBytes(bytes)) => bytes,
        Some(Specifier::Filename(_)) => {
            return Err(Invalid::at("filename", "no file of a server is named by its control plane"));
        }
        Some(Specifier::EnvironmentVariable(_)) => {
            return Err(Invalid::at("environment_variable", "is not supported"));
        }
        None => return Err(Invalid::new("expected inline_string or inline_bytes")),
    };
    let keys = KeySet::parse(text).map_err(|error| Invalid::new(format!("no key set: {error}")))?;
    Ok(KeySource::Inline(Arc::new(keys)))
}

fn remote(source: &proto::RemoteJwks) -> Checked<KeySource> {
    if source.retry_policy.is_some() {
        return Err(Invalid::at("retry_policy", "is not supported: fetches are repeated until one succeeds"));
    }
    let http = source.http_uri.as_ref().ok_or_else(|| Invalid::at("http_uri", "must be set"))?;
    let uri: Uri = http.uri.parse().map_err(|_| Invalid::at("uri", "is no URL")).within("http_uri")?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    if !is_http || uri.host().is_none_or(str::is_empty) {
        return Err(Invalid::at("http_uri.uri", "expected http:// or https:// with a host"));
    }
    // the server fetches the keys itself, whatever cluster is named
    let timeout = http.timeout.as_ref().ok_or_else(|| Invalid::at("http_uri.timeout", "must be set"))?;
    let mut keys = RemoteKeys::new(uri);
    keys.timeout = positive(duration(timeout)).within("http_uri.timeout")?;
    if let Some(cache) = &source.cache_duration {
        keys.cache_duration = positive(duration(cache)).within("cache_duration")?;
    }
    let retry = source.async_fetch.as_ref().and_then(|fetch| fetch.failed_refetch_duration.as_ref());
    if let Some(retry) = retry {
        keys.first_retry = positive(duration(retry)).within("async_fetch.failed_refetch_duration")?;
    }
    Ok(KeySource::Remote(keys))
}

/// A duration that leaves a key server time, and at least a millisecond between fetches.
fn positive(duration: Checked<Duration>) -> Checked<Duration> {
    match duration? {
        short if short < Duration::from_millis(1) => Err(Invalid::new("must be at least 1 ms")),
        long => Ok(long),
    }
}

// HF-44
fn locations(proto: &proto::JwtProvider) -> Checked<Vec<TokenLocation>> {
    let mut locations = Vec::new();
    for (index, header) in proto.from_headers.iter().enumerate() {
        let name = name(&header.name, "name").within_element("from_headers", index)?;
        locations.push(TokenLocation::Header { name, prefix: header.value_prefix.clone() });
    }
    let texts = [("from_params", &proto.from_params), ("from_cookies", &proto.from_cookies)];
    for (field, names) in texts {
        if let Some(index) = names.iter().position(String::is_empty) {
            return Err(Invalid::new("must not be empty")).within_element(field, index);
        }
    }
    locations.extend(proto.from_params.iter().cloned().map(TokenLocation::Parameter));
    locations.extend(proto.from_cookies.iter().cloned().map(TokenLocation::Cookie));
    Ok(locations)
}

fn claim_header(claim: &proto::JwtClaimToHeader) -> Checked<ClaimHeader> {
    let header = name(&claim.header_name, "header_name")?;
    let steps: Vec<_> = claim.claim_path.iter().map(|step| step.key.clone()).collect();
    match (claim.claim_name.as_str(), steps.is_empty()) {
        ("", true) => Err(Invalid::new("expected claim_name or claim_path")),
        ("", false) => Ok(ClaimHeader::new(header, steps)),
        // a dot separates the steps to a nested claim
        (name, true) => Ok(ClaimHeader::new(header, name.split('.'))),
        (_, false) => Err(Invalid::new("expected claim_name or claim_path, and not both")),
    }
}

fn name(text: &str, field: &str) -> Checked<HeaderName> {
    HeaderName::from_bytes(text.as_bytes())
        .map_err(|_| Invalid::at(field, format!("{text:?} is no header's name")))
}
