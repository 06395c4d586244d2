//! The state of the pipeline, for the admin API and the logs.

use serde::{Deserialize, Serialize};

/// The state of the configuration at one moment.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct PipelineState {
    /// Every source has delivered its first full set. Nothing is served before.
    pub synced: bool,
    /// The revision that is served.
    pub revision: u64,
    /// Accepted objects.
    pub objects: Vec<ObjectStatus>,
    /// Errors, and parts that will not work as written.
    pub diagnostics: Vec<Diagnostic>,
    /// Documents of kinds that are not this server's, which it passes over.
    #[serde(default)]
    pub passed_over: usize,
    /// Files that have errors and no earlier version in the data folder: a restart with them as they are finds nothing of what
    /// they define. Empty without a data folder.
    #[serde(default)]
    pub not_kept: Vec<String>,
    /// What the sources say and does not take effect before an operator approves it.
    #[serde(default)]
    pub waiting: Option<WaitingChange>,
    /// Why no change of the configuration can take effect any more; what is served stays. The server is not ready then, and
    /// ends.
    #[serde(default)]
    pub failed: Option<String>,
}

/// A change that removes so much that it waits until an operator approves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingChange {
    /// Names it to approve it. Another change has another one.
    pub id: String,
    /// How many objects it adds, changes or removes.
    pub objects: usize,
    /// What it would remove: `18 of 20 endpoints of orders.shop.svc.cluster.local`.
    pub reasons: Vec<String>,
}

/// An accepted object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectStatus {
    /// For example `VirtualService`.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its file, relative to the configuration folder.
    pub file: String,
    /// Line of its first character, from 1.
    pub line: u32,
    /// The file is broken now, and this is its last good version.
    pub stale: bool,
}

/// An error in the configuration, or a part that will not work as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The file's path relative to the configuration folder.
    pub file: String,
    /// From 1; 0 if unknown.
    pub line: u32,
    /// From 1; 0 if unknown.
    pub column: u32,
    /// `kind namespace/name` of the object; empty if it could not be read.
    pub object: String,
    /// The field's path, for example `spec.http[0].route[1].weight`; empty for the whole object.
    pub field: String,
    /// What was found, what was expected, and what to do.
    pub message: String,
}

/// How bad a [`Diagnostic`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The object is refused; its last good version stays in use.
    Error,
    /// Accepted, but a part has no effect for some client classes.
    Warning,
}

impl std::fmt::Display for Diagnostic {
    /// `file:line:column: error: object: field: message`, as compilers do.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{}:{}:{}: {severity}: ", self.file, self.line, self.column)?;
        for part in [&self.object, &self.field] {
            if !part.is_empty() {
                write!(f, "{part}: ")?;
            }
        }
        f.write_str(&self.message)
    }
}
