//! Where further resources come from.

use xds_proto::envoy::config::core::v3::ConfigSource;
use xds_proto::envoy::config::core::v3::config_source::ConfigSourceSpecifier;

use super::invalid::{Checked, Invalid};

/// `ads` or `self`, which both mean the server that sent this resource (TR-41). No other server is ever asked (SEC-02).
pub(super) fn same_server(source: Option<&ConfigSource>) -> Checked<()> {
    match source.and_then(|source| source.config_source_specifier.as_ref()) {
        Some(ConfigSourceSpecifier::Ads(_) | ConfigSourceSpecifier::Self_(_)) => Ok(()),
        _ => Err(Invalid::new("must be ads or self")),
    }
}

/// `self` and nothing else (CDS-10).
pub(super) fn is_self(source: &ConfigSource) -> Checked<()> {
    match source.config_source_specifier {
        Some(ConfigSourceSpecifier::Self_(_)) => Ok(()),
        _ => Err(Invalid::new("must be self")),
    }
}
