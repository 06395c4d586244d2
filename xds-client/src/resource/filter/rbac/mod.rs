//! Authorization on servers (gRFC A41), and its audit loggers (gRFC A59).

mod audit;
mod principal;
mod rules;

use std::sync::Arc;

use mesh_core::filter::{ConfigValue, FilterConfig, RbacConfig, RbacOverride};
use xds_proto::envoy::extensions::filters::http::rbac::v3::{Rbac, RbacPerRoute};

use crate::resource::Decoding;
use crate::resource::invalid::{Checked, Invalid, Within};

use super::{FilterSides, HttpFilterType};
use crate::resource::{ExtensionError, ExtensionPayload};

pub use audit::AuditLoggerType;
use audit::Loggers;

/// `envoy.extensions.filters.http.rbac.v3.RBAC`, overridden by `RBACPerRoute`, with the audit loggers that it knows: by default
/// the one that writes to the standard output.
///
/// Is part of every [`FilterRegistry`](super::FilterRegistry); put another one in for audit loggers of your own.
#[derive(Debug, Clone, Default)]
pub struct RbacFilter {
    loggers: Loggers,
}

impl RbacFilter {
    /// Knows this kind of audit logger, too. It replaces a kind with the same type.
    #[must_use]
    pub fn with_audit_logger(mut self, kind: impl AuditLoggerType) -> Self {
        self.loggers.add(Arc::new(kind));
        self
    }

    fn config(&self, message: &Rbac, context: &Decoding<'_>) -> Checked<RbacConfig> {
        let unsupported = |field| Err(Invalid::at(field, "matcher trees are not supported"));
        if message.matcher.is_some() {
            return unsupported("matcher");
        }
        if message.shadow_matcher.is_some() {
            return unsupported("shadow_matcher");
        }
        let mut config = RbacConfig::default();
        if let Some(proto) = &message.rules {
            config.rules = Some(rules::read(proto, context).within("rules")?);
            config.audit = self.loggers.read(proto, context).within("rules")?;
        }
        if let Some(proto) = &message.shadow_rules {
            config.shadow_rules = Some(rules::read(proto, context).within("shadow_rules")?);
            let prefix = message.shadow_rules_stat_prefix.as_str();
            config.shadow_metadata = (!prefix.is_empty()).then(|| prefix.into());
        }
        Ok(config)
    }
}

impl HttpFilterType for RbacFilter {
    fn type_name(&self) -> &str {
        "envoy.extensions.filters.http.rbac.v3.RBAC"
    }

    fn sides(&self) -> FilterSides {
        FilterSides::Server
    }

    fn decode(&self, payload: &ExtensionPayload<'_>) -> Result<Arc<dyn FilterConfig>, ExtensionError> {
        let message: Rbac = payload.decode()?;
        Ok(Arc::new(payload.read(|context| self.config(&message, context))?))
    }

    fn override_type_name(&self) -> Option<&str> {
        Some("envoy.extensions.filters.http.rbac.v3.RBACPerRoute")
    }

    // HF-17
    fn decode_override(
        &self,
        payload: &ExtensionPayload<'_>,
    ) -> Result<Arc<dyn ConfigValue>, ExtensionError> {
        let message: RbacPerRoute = payload.decode()?;
        let read = |context: &Decoding<'_>| {
            message.rbac.as_ref().map(|rbac| self.config(rbac, context).within("rbac")).transpose()
        };
        Ok(Arc::new(RbacOverride(payload.read(read)?)))
    }
}
