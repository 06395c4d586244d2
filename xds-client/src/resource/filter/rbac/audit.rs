//! Audit loggers (gRFC A59).

use std::fmt;
use std::sync::Arc;

use mesh_core::filter::{Audit, AuditCondition, AuditLogger, StdoutAuditLogger};
use xds_proto::envoy::config::rbac::v3 as proto;
use xds_proto::envoy::config::rbac::v3::rbac::audit_logging_options::{
    AuditCondition as Condition, AuditLoggerConfig,
};
use xds_proto::envoy::extensions::rbac::audit_loggers::stream::v3::StdoutAuditLog;

use crate::resource::Decoding;
use crate::resource::extension::Extension;
use crate::resource::invalid::{Checked, Invalid, Within};
use crate::resource::{ExtensionError, ExtensionPayload};

/// A kind of audit logger: the type of its configuration, and its decoder.
pub trait AuditLoggerType: fmt::Debug + Send + Sync + 'static {
    /// The full name of its configuration's type: the part after the last `/` of the type URL.
    fn type_name(&self) -> &str;

    /// Reads and validates its configuration.
    ///
    /// # Errors
    /// A [`ExtensionError`] refuses the listener, also if the logger is optional.
    fn decode(&self, payload: &ExtensionPayload<'_>) -> Result<Arc<dyn AuditLogger>, ExtensionError>;
}

/// The known kinds.
#[derive(Debug, Clone)]
pub(super) struct Loggers(Vec<Arc<dyn AuditLoggerType>>);

impl Default for Loggers {
    fn default() -> Self {
        Self(vec![Arc::new(Stdout)])
    }
}

impl Loggers {
    pub(super) fn add(&mut self, kind: Arc<dyn AuditLoggerType>) {
        self.0.retain(|known| known.type_name() != kind.type_name());
        self.0.push(kind);
    }

    /// The audit of some rules; `None`: there is nothing to log.
    // HF-23
    pub(super) fn read(&self, rules: &proto::Rbac, context: &Decoding<'_>) -> Checked<Option<Audit>> {
        let Some(options) = &rules.audit_logging_options else { return Ok(None) };
        let read = || {
            let condition = condition(options.audit_condition)?;
            let mut loggers = Vec::new();
            for (index, config) in options.logger_configs.iter().enumerate() {
                loggers.extend(self.logger(config, context).within_element("logger_configs", index)?);
            }
            let is_idle = condition == AuditCondition::None || loggers.is_empty();
            Ok((!is_idle).then(|| Audit::new(condition, loggers)))
        };
        let read: Checked<_> = read();
        read.within("audit_logging_options")
    }

    /// `None`: its kind is not known, and it is optional.
    fn logger(
        &self,
        config: &AuditLoggerConfig,
        context: &Decoding<'_>,
    ) -> Checked<Option<Arc<dyn AuditLogger>>> {
        let missing = || Invalid::at("audit_logger", "typed_config must be set");
        let any = config.audit_logger.as_ref().and_then(|logger| logger.typed_config.as_ref());
        let extension = Extension::of(any.ok_or_else(missing)?).within("audit_logger")?;
        let type_name = extension.type_name();
        match self.0.iter().find(|known| known.type_name() == type_name) {
            Some(kind) => kind.decode(&extension.payload(context)).map(Some).within("audit_logger"),
            None if config.is_optional => Ok(None),
            None => {
                let reason = format!("type {type_name:?} is not supported, and it is not optional");
                Err(Invalid::at("audit_logger", reason))
            }
        }
    }
}

fn condition(number: i32) -> Checked<AuditCondition> {
    match Condition::try_from(number) {
        Ok(Condition::None) => Ok(AuditCondition::None),
        Ok(Condition::OnDeny) => Ok(AuditCondition::OnDeny),
        Ok(Condition::OnAllow) => Ok(AuditCondition::OnAllow),
        Ok(Condition::OnDenyAndAllow) => Ok(AuditCondition::OnDenyAndAllow),
        Err(_) => Err(Invalid::at("audit_condition", format!("{number} is not a condition"))),
    }
}

/// gRPC's `stdout_logger`.
#[derive(Debug)]
struct Stdout;

impl AuditLoggerType for Stdout {
    fn type_name(&self) -> &str {
        "envoy.extensions.rbac.audit_loggers.stream.v3.StdoutAuditLog"
    }

    fn decode(&self, payload: &ExtensionPayload<'_>) -> Result<Arc<dyn AuditLogger>, ExtensionError> {
        let StdoutAuditLog {} = payload.decode()?;
        Ok(Arc::new(StdoutAuditLogger::new()))
    }
}
