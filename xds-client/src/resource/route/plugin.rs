//! Cluster specifier plugins. None is supported; routes with optional ones are skipped.

use std::collections::HashSet;

use xds_proto::envoy::config::route::v3::ClusterSpecifierPlugin;

use crate::resource::extension::Extension;
use crate::resource::invalid::{Checked, Invalid, Within};

/// The names of the declared plugins. All are unknown and optional.
#[derive(Debug)]
pub(super) struct Plugins<'a>(HashSet<&'a str>);

impl<'a> Plugins<'a> {
    /// RDS-12: an unknown plugin must be optional, used or not.
    pub(super) fn read(plugins: &'a [ClusterSpecifierPlugin]) -> Checked<Self> {
        let mut names = HashSet::new();
        for (index, plugin) in plugins.iter().enumerate() {
            let name = declared(plugin).within_element("cluster_specifier_plugins", index)?;
            names.insert(name);
        }
        Ok(Self(names))
    }

    /// Checks that a route's plugin has been declared.
    pub(super) fn check(&self, name: &str) -> Checked<()> {
        match self.0.contains(name) {
            true => Ok(()),
            false => Err(Invalid::new(format!("{name:?} is not one of cluster_specifier_plugins"))),
        }
    }
}

fn declared(plugin: &ClusterSpecifierPlugin) -> Checked<&str> {
    let extension = plugin.extension.as_ref().ok_or_else(|| Invalid::at("extension", "must be set"))?;
    if plugin.is_optional {
        return Ok(&extension.name);
    }
    let config =
        extension.typed_config.as_ref().map(Extension::of).transpose().within("extension.typed_config")?;
    let type_name = config.as_ref().map_or("", Extension::type_name);
    Err(Invalid::at(
        "extension.typed_config",
        format!("type {type_name:?} is not supported, and it is not optional"),
    ))
}
