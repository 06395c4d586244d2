//! The filters of a listener.

use std::collections::HashSet;

use mesh_core::config::FilterInstance;
use xds_proto::envoy::extensions::filters::http::router::v3::Router;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter as Proto;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_filter::ConfigType;

use crate::resource::Decoding;
use crate::resource::extension::Extension;
use crate::resource::invalid::{Checked, Invalid, Within};
use crate::resource::transport_socket::Side;

use super::ROUTER;

/// A known filter.
enum KnownFilter {
    Router,
    Filter(FilterInstance),
}

/// Checks a listener's filters (LDS-06 to LDS-11), and returns the known ones, without the router.
pub(in crate::resource) fn read(
    filters: &[Proto],
    side: Side,
    context: &Decoding<'_>,
) -> Checked<Vec<FilterInstance>> {
    let mut names = HashSet::new();
    let mut kept = Vec::new();
    for (index, filter) in filters.iter().enumerate() {
        let name = filter.name.as_str();
        let problem = match name {
            "" => Some("must not be empty".to_owned()),
            name if !names.insert(name) => Some(format!("{name:?} is used twice")),
            _ => None,
        };
        if let Some(reason) = problem {
            return Err(Invalid::at("name", reason)).within_element(FIELD, index);
        }
        if let Some(known) = known(filter, side, context).within_element(FIELD, index)? {
            kept.push((index, known));
        }
    }
    // LDS-09, which also covers an empty list (LDS-06)
    let Some((last_index, last)) = kept.pop() else {
        return Err(Invalid::at(FIELD, "no filter is left; expected a router at the end"));
    };
    let mut before = Vec::with_capacity(kept.len());
    for (index, known) in kept {
        match known {
            KnownFilter::Filter(filter) => before.push(filter),
            KnownFilter::Router => {
                return Err(Invalid::new("only the last filter may be a router"))
                    .within_element(FIELD, index);
            }
        }
    }
    // HF-07
    if !matches!(last, KnownFilter::Router) {
        return Err(Invalid::at(FIELD, "the last filter must be a router"));
    }
    // Without its terminal filter the chain would forward no call.
    if filters[last_index].disabled {
        return Err(Invalid::at("disabled", "a router cannot be disabled")).within_element(FIELD, last_index);
    }
    Ok(before)
}

/// `None`: the filter is skipped (LDS-07).
fn known(filter: &Proto, side: Side, context: &Decoding<'_>) -> Checked<Option<KnownFilter>> {
    let registry = &context.filters;
    let unknown = |what: String| match filter.is_optional {
        true => Ok(None),
        false => Err(Invalid::new(format!("filter {:?}: {what}, and it is not optional", filter.name))),
    };
    let Some(ConfigType::TypedConfig(any)) = &filter.config_type else {
        return unknown("typed_config is not set".to_owned());
    };
    let extension = Extension::of(any).within("typed_config")?;
    let type_name = extension.type_name();
    if type_name == ROUTER {
        // LDS-12
        return extension.well_formed::<Router>().within("typed_config").map(|()| Some(KnownFilter::Router));
    }
    let Some(kind) = registry.of_type(type_name) else {
        // LDS-10: known, and not allowed at this place
        if registry.of_override(type_name).is_some() {
            let reason = format!("type {type_name:?} is only for overrides");
            return Err(Invalid::at("typed_config", reason));
        }
        return unknown(format!("type {type_name:?} is not supported"));
    };
    if !kind.sides().include(side) {
        return unknown(format!("type {type_name:?} is not supported on this side"));
    }
    // LDS-08: optional or not. LDS-11: disabled or not.
    let config = kind.decode(&extension.payload(context)).within("typed_config")?;
    let mut instance = FilterInstance::of(filter.name.as_str(), config);
    instance.disabled = filter.disabled;
    Ok(Some(KnownFilter::Filter(instance)))
}

const FIELD: &str = "http_filters";
