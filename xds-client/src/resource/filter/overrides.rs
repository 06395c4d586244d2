//! Overrides of a listener's filters in parts of the routes.

use std::collections::HashMap;

use mesh_core::config::{FilterOverride, FilterOverrides, Name};
use xds_proto::envoy::config::route::v3::FilterConfig;
use xds_proto::google::protobuf::Any;

use crate::resource::Decoding;
use crate::resource::extension::Extension;
use crate::resource::invalid::{Checked, Invalid, Within};

use super::ROUTER;

/// Checks a `typed_per_filter_config` (RDS-19). Names of filters that no listener has are allowed.
pub(in crate::resource) fn read(
    configs: &HashMap<String, Any>,
    context: &Decoding<'_>,
) -> Checked<FilterOverrides> {
    let mut overrides = FilterOverrides::new();
    for (name, any) in configs {
        if let Some(said) = one(any, context).within_key("typed_per_filter_config", name)? {
            overrides = overrides.with(Name::from(name.as_str()), said);
        }
    }
    Ok(overrides)
}

/// The override of one filter; `None`: no effect.
pub(super) fn one(any: &Any, context: &Decoding<'_>) -> Checked<Option<FilterOverride>> {
    let extension = Extension::of(any)?;
    if extension.type_name() != FILTER_CONFIG {
        return of_type(&extension, false, context);
    }
    let wrapper: FilterConfig = extension.message()?;
    let config = match &wrapper.config {
        Some(any) => {
            let read = || of_type(&Extension::of(any)?, wrapper.is_optional, context);
            read().within("config")?
        }
        None if wrapper.is_optional || wrapper.disabled => None,
        None => return Err(Invalid::at("config", "must be set")),
    };
    // RDS-20: a filter is switched off without a configuration.
    Ok(if wrapper.disabled { Some(FilterOverride::Disabled) } else { config })
}

/// `None`: the type is unknown, and the override is optional.
fn of_type(
    extension: &Extension<'_>,
    is_optional: bool,
    context: &Decoding<'_>,
) -> Checked<Option<FilterOverride>> {
    let type_name = extension.type_name();
    if let Some(kind) = context.filters.of_override(type_name) {
        let config = kind.decode_override(&extension.payload(context))?;
        return Ok(Some(FilterOverride::Config(config)));
    }
    if type_name == ROUTER || context.filters.of_type(type_name).is_some() {
        return Err(Invalid::new(format!("type {type_name:?} is not for overrides")));
    }
    match is_optional {
        true => Ok(None),
        false => Err(Invalid::new(format!("type {type_name:?} is not supported, and it is not optional"))),
    }
}

const FILTER_CONFIG: &str = "envoy.config.route.v3.FilterConfig";
