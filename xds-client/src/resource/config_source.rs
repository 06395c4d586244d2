//! The source of further resources.

use xds_proto::envoy::config::core::v3::ConfigSource;
use xds_proto::envoy::config::core::v3::config_source::ConfigSourceSpecifier;

use super::invalid::{Checked, Invalid};

/// `ads` or `self`, which both mean the server that sent this resource (TR-41). No other server is ever used (SEC-02).
pub(super) fn same_server(source: Option<&ConfigSource>) -> Checked<()> {
    match source.and_then(|source| source.config_source_specifier.as_ref()) {
        Some(ConfigSourceSpecifier::Ads(_) | ConfigSourceSpecifier::Self_(_)) => Ok(()),
        _ => Err(Invalid::new("must be ads or self")),
    }
}

/// `self` only (CDS-10).
pub(super) fn is_self(source: &ConfigSource) -> Checked<()> {
    match source.config_source_specifier {
        Some(ConfigSourceSpecifier::Self_(_)) => Ok(()),
        _ => Err(Invalid::new("must be self")),
    }
}
