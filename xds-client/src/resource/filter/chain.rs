//! The filters of a listener.

use std::collections::HashSet;

use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter as Proto;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_filter::ConfigType;
use mesh_core::config::Name;

use crate::resource::extension::Extension;
use crate::resource::invalid::{Checked, Invalid, Within};
use crate::resource::transport_socket::Side;

use super::FilterType;

/// A filter of a listener's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpFilter {
    /// Its name in the chain, by which routes override it.
    pub name: Name,
    /// The full name of its configuration's type.
    pub type_name: &'static str,
    /// It does not run, except where routes switch it on (LDS-11).
    pub disabled: bool,
}

pub(super) fn read(
    filters: &[Proto],
    side: Side,
    registry: &'static [FilterType],
) -> Checked<Vec<HttpFilter>> {
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
        if let Some(kind) = known(filter, side, registry).within_element(FIELD, index)? {
            kept.push((index, filter, kind));
        }
    }
    // LDS-09, which also covers an empty list (LDS-06)
    let Some(((last_index, last, last_kind), others)) = kept.split_last() else {
        return Err(Invalid::at(FIELD, "no filter is left; expected a router at the end"));
    };
    if let Some((index, ..)) = others.iter().find(|(.., kind)| kind.terminal) {
        return Err(Invalid::new("only the last filter may be a router")).within_element(FIELD, *index);
    }
    if !last_kind.terminal {
        return Err(Invalid::at(FIELD, "the last filter must be a router"));
    }
    // A chain whose end does not run leads nowhere.
    if last.disabled {
        return Err(Invalid::at("disabled", "a router cannot be disabled"))
            .within_element(FIELD, *last_index);
    }
    let filter = |(_, filter, kind): (usize, &Proto, &FilterType)| HttpFilter {
        name: filter.name.as_str().into(),
        type_name: kind.type_name,
        // LDS-11
        disabled: filter.disabled,
    };
    Ok(kept.into_iter().map(filter).collect())
}

/// The filter's kind; `None` when it is to be left out (LDS-07).
fn known(
    filter: &Proto,
    side: Side,
    registry: &'static [FilterType],
) -> Checked<Option<&'static FilterType>> {
    let unknown = |what: String| match filter.is_optional {
        true => Ok(None),
        false => Err(Invalid::new(format!("filter {:?}: {what}, and it is not optional", filter.name))),
    };
    let Some(ConfigType::TypedConfig(any)) = &filter.config_type else {
        return unknown("typed_config is not set".to_owned());
    };
    let extension = Extension::of(any).within("typed_config")?;
    // LDS-10: an override's type is not a row's type_name, and so not known here.
    match registry.iter().find(|kind| kind.type_name == extension.type_name()) {
        None => unknown(format!("type {:?} is not supported", extension.type_name())),
        Some(kind) if !kind.sides.contains(&side) => {
            unknown(format!("type {:?} is not supported on this side", extension.type_name()))
        }
        // LDS-08: optional or not. LDS-11: disabled or not.
        Some(kind) => (kind.check)(&extension).within("typed_config").map(|()| Some(kind)),
    }
}

const FIELD: &str = "http_filters";
