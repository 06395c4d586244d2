//! What parts of the routes say of a listener's filters.

use std::collections::{BTreeMap, HashMap};

use envoy_types::pb::envoy::config::route::v3::FilterConfig;
use envoy_types::pb::google::protobuf::Any;
use mesh_core::config::Name;

use crate::resource::extension::Extension;
use crate::resource::invalid::{Checked, Invalid, Within};

use super::{FilterType, HttpFilter, REGISTRY};

/// A part of a route configuration, by indices into the decoded value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FilterPlace {
    /// The virtual host.
    pub virtual_host: usize,
    /// One of its routes; `None`: all of them.
    pub route: Option<usize>,
    /// One of the route's weighted clusters; `None`: all of them.
    pub cluster: Option<usize>,
}

/// A part of a route configuration switches a filter on or off (LDS-11, RDS-20).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterSwitch {
    /// Where.
    pub place: FilterPlace,
    /// The filter's name in the listener's chain; a listener need not have it.
    pub filter: Name,
    /// It does not run there; `false`: it runs there, though the listener may have disabled it.
    pub disabled: bool,
}

impl FilterSwitch {
    /// Whether a filter runs for the calls of `place`: the most specific switch decides (HF-01), and without one the
    /// listener.
    pub fn runs(switches: &[Self], filter: &HttpFilter, place: FilterPlace) -> bool {
        let route = FilterPlace { cluster: None, ..place };
        let levels = [place, route, FilterPlace { route: None, ..route }];
        let at = |level| switches.iter().find(|switch| switch.place == level && switch.filter == filter.name);
        !levels.into_iter().find_map(at).map_or(filter.disabled, |switch| switch.disabled)
    }
}

/// The switches of one part: which filters are disabled there and which are not.
pub(in crate::resource) type Switches = BTreeMap<Name, bool>;

/// Checks a `typed_per_filter_config` (RDS-19). Names of filters that no listener has are fine.
pub(in crate::resource) fn read(configs: &HashMap<String, Any>) -> Checked<Switches> {
    let mut switches = Switches::new();
    for (name, any) in configs {
        let disabled = one(any, REGISTRY).within_key("typed_per_filter_config", name)?;
        switches.extend(disabled.map(|disabled| (Name::from(name.as_str()), disabled)));
    }
    Ok(switches)
}

/// Whether it disables the filter; `None`: it says nothing of it.
pub(super) fn one(any: &Any, registry: &[FilterType]) -> Checked<Option<bool>> {
    let extension = Extension::of(any)?;
    if extension.type_name() != FILTER_CONFIG {
        return of_type(&extension, false, registry).map(|known| known.then_some(false));
    }
    let wrapper: FilterConfig = extension.message()?;
    let known = match &wrapper.config {
        Some(any) => {
            let read = || of_type(&Extension::of(any)?, wrapper.is_optional, registry);
            read().within("config")?
        }
        None if wrapper.is_optional || wrapper.disabled => false,
        None => return Err(Invalid::at("config", "must be set")),
    };
    // RDS-20: a filter is switched off without a configuration.
    Ok((known || wrapper.disabled).then_some(wrapper.disabled))
}

/// Whether the type is known.
fn of_type(extension: &Extension<'_>, is_optional: bool, registry: &[FilterType]) -> Checked<bool> {
    let type_name = extension.type_name();
    for kind in registry {
        match kind.overrides {
            Some((name, check)) if name == type_name => return check(extension).map(|()| true),
            _ if kind.type_name == type_name => {
                return Err(Invalid::new(format!("type {type_name:?} is not for overrides")));
            }
            _ => {}
        }
    }
    match is_optional {
        true => Ok(false),
        false => Err(Invalid::new(format!("type {type_name:?} is not supported, and it is not optional"))),
    }
}

const FILTER_CONFIG: &str = "envoy.config.route.v3.FilterConfig";
