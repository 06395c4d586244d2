//! HTTP filters: which are known, where they may stand, and what overrides them (gRFC A39).
//!
//! A new filter is a row of [`REGISTRY`].

use std::collections::{HashMap, HashSet};

use envoy_types::pb::envoy::config::route::v3::FilterConfig;
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_filter::ConfigType;
use envoy_types::pb::google::protobuf::Any;

use super::extension::Extension;
use super::invalid::{Checked, Invalid, Within};
use super::transport_socket::Side;

type Check = fn(&Extension<'_>) -> Checked<()>;

/// A kind of HTTP filter.
#[derive(Debug)]
struct FilterType {
    /// The type of its configuration in a listener.
    type_name: &'static str,
    /// Where it can run.
    sides: &'static [Side],
    /// Whether it ends the chain.
    terminal: bool,
    /// Checks its configuration.
    check: Check,
    /// The type of its overrides and their check; `None`: it cannot be overridden.
    overrides: Option<(&'static str, Check)>,
}

/// The filters that are known.
const REGISTRY: &[FilterType] = &[FilterType {
    type_name: "envoy.extensions.filters.http.router.v3.Router",
    sides: &[Side::Client, Side::Server],
    terminal: true,
    // LDS-12
    check: |extension| extension.well_formed::<Router>(),
    overrides: None,
}];

/// Checks a listener's filters (LDS-06 to LDS-10).
pub(super) fn chain(filters: &[HttpFilter], side: Side) -> Checked<()> {
    const FIELD: &str = "http_filters";
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
        if let Some(kind) = known(filter, side).within_element(FIELD, index)? {
            kept.push((index, kind));
        }
    }
    // LDS-09, which also covers an empty list (LDS-06)
    let Some(((_, last), others)) = kept.split_last() else {
        return Err(Invalid::at(FIELD, "no filter is left; expected a router at the end"));
    };
    if let Some((index, _)) = others.iter().find(|(_, kind)| kind.terminal) {
        return Err(Invalid::new("only the last filter may be a router")).within_element(FIELD, *index);
    }
    match last.terminal {
        true => Ok(()),
        false => Err(Invalid::at(FIELD, "the last filter must be a router")),
    }
}

/// The filter's kind; `None` when it is to be left out (LDS-07).
fn known(filter: &HttpFilter, side: Side) -> Checked<Option<&'static FilterType>> {
    let unknown = |what: String| match filter.is_optional {
        true => Ok(None),
        false => Err(Invalid::new(format!("filter {:?}: {what}, and it is not optional", filter.name))),
    };
    let Some(ConfigType::TypedConfig(any)) = &filter.config_type else {
        return unknown("typed_config is not set".to_owned());
    };
    let extension = Extension::of(any).within("typed_config")?;
    // LDS-10: an override's type is not a row's type_name, and so not known here.
    match REGISTRY.iter().find(|kind| kind.type_name == extension.type_name()) {
        None => unknown(format!("type {:?} is not supported", extension.type_name())),
        Some(kind) if !kind.sides.contains(&side) => {
            unknown(format!("type {:?} is not supported on this side", extension.type_name()))
        }
        // LDS-08: optional or not.
        Some(kind) => (kind.check)(&extension).within("typed_config").map(|()| Some(kind)),
    }
}

/// Checks a `typed_per_filter_config` (RDS-19). Names of filters that no listener has are fine.
pub(super) fn overrides(configs: &HashMap<String, Any>) -> Checked<()> {
    configs.iter().try_for_each(|(name, any)| one_override(any).within_key("typed_per_filter_config", name))
}

fn one_override(any: &Any) -> Checked<()> {
    let extension = Extension::of(any)?;
    if extension.type_name() != FILTER_CONFIG {
        return override_of_type(&extension, false);
    }
    let wrapper: FilterConfig = extension.message()?;
    match &wrapper.config {
        Some(any) => {
            override_of_type(&Extension::of(any).within("config")?, wrapper.is_optional).within("config")
        }
        // RDS-20: a filter is switched off without a configuration.
        None if wrapper.is_optional || wrapper.disabled => Ok(()),
        None => Err(Invalid::at("config", "must be set")),
    }
}

fn override_of_type(extension: &Extension<'_>, is_optional: bool) -> Checked<()> {
    let type_name = extension.type_name();
    for kind in REGISTRY {
        match kind.overrides {
            Some((name, check)) if name == type_name => return check(extension),
            _ if kind.type_name == type_name => {
                return Err(Invalid::new(format!("type {type_name:?} is not for overrides")));
            }
            _ => {}
        }
    }
    match is_optional {
        true => Ok(()),
        false => Err(Invalid::new(format!("type {type_name:?} is not supported, and it is not optional"))),
    }
}

const FILTER_CONFIG: &str = "envoy.config.route.v3.FilterConfig";
