//! Header mutation.

use std::sync::Arc;

use mesh_core::config::{HeaderMutations, MutationOrder};
use mesh_core::filter::{ConfigValue, FilterConfig, HeaderMutationConfig, HeaderMutationOverride};
use xds_proto::envoy::config::core::v3::KeyValueMutation;
use xds_proto::envoy::config::core::v3::key_value_append::KeyValueAppendAction;
use xds_proto::envoy::extensions::filters::http::header_mutation::v3::{
    HeaderMutation, HeaderMutationPerRoute, Mutations,
};
use xds_proto::google::protobuf::value::Kind;

use crate::resource::invalid::{Checked, Invalid, Within};
use crate::resource::{Decoding, headers};

use super::{FilterSides, HttpFilterType};
use crate::resource::{ExtensionError, ExtensionPayload};

/// `envoy.extensions.filters.http.header_mutation.v3.HeaderMutation`, overridden by `HeaderMutationPerRoute`.
#[derive(Debug)]
pub(super) struct HeaderMutationType;

impl HttpFilterType for HeaderMutationType {
    fn type_name(&self) -> &str {
        "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"
    }

    fn sides(&self) -> FilterSides {
        FilterSides::Both
    }

    fn decode(&self, payload: &ExtensionPayload<'_>) -> Result<Arc<dyn FilterConfig>, ExtensionError> {
        let message: HeaderMutation = payload.decode()?;
        let order = match message.most_specific_header_mutations_wins {
            false => MutationOrder::MostSpecificFirst,
            true => MutationOrder::MostSpecificLast,
        };
        let mutations = payload.read(|context| read(message.mutations.as_ref(), context))?;
        Ok(Arc::new(HeaderMutationConfig::new(mutations, order)))
    }

    fn override_type_name(&self) -> Option<&str> {
        Some("envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute")
    }

    fn decode_override(
        &self,
        payload: &ExtensionPayload<'_>,
    ) -> Result<Arc<dyn ConfigValue>, ExtensionError> {
        let message: HeaderMutationPerRoute = payload.decode()?;
        let mutations = payload.read(|context| read(message.mutations.as_ref(), context))?;
        Ok(Arc::new(HeaderMutationOverride(mutations)))
    }
}

/// Query parameters and the trailers of requests are checked and have no effect: a gRPC call has neither.
fn read(mutations: Option<&Mutations>, context: &Decoding<'_>) -> Checked<HeaderMutations> {
    let Some(mutations) = mutations else { return Ok(HeaderMutations::new()) };
    let list = |list, field| headers::mutations(list, field, context).within("mutations");
    let mut read = HeaderMutations::new();
    read.request = list(&mutations.request_mutations, "request_mutations")?;
    read.response = list(&mutations.response_mutations, "response_mutations")?;
    read.trailers = list(&mutations.response_trailers_mutations, "response_trailers_mutations")?;
    list(&mutations.request_trailers_mutations, "request_trailers_mutations")?;
    for (index, mutation) in mutations.query_parameter_mutations.iter().enumerate() {
        query_parameter(mutation).within_element("query_parameter_mutations", index).within("mutations")?;
    }
    Ok(read)
}

fn query_parameter(mutation: &KeyValueMutation) -> Checked<()> {
    let append = match (&mutation.append, mutation.remove.as_str()) {
        (Some(append), "") => append,
        (None, remove) if !remove.is_empty() => return Ok(()),
        _ => return Err(Invalid::new("expected either append or remove")),
    };
    let record = append.record.as_ref().ok_or_else(|| Invalid::at("append.record", "must be set"))?;
    if record.key.is_empty() {
        return Err(Invalid::at("append.record.key", "must not be empty"));
    }
    let value = record.value.as_ref().and_then(|value| value.kind.as_ref());
    if !matches!(value, Some(Kind::StringValue(_))) {
        return Err(Invalid::at("append.record.value", "expected a string"));
    }
    KeyValueAppendAction::try_from(append.action)
        .map(drop)
        .map_err(|_| Invalid::at("append.action", format!("{} is not an action", append.action)))
}
