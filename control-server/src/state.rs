//! The state of the pipeline, for the admin API and the logs.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::places::Places;

/// The state of the configuration at one moment.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct PipelineState {
    /// Every source has delivered its first full set. Nothing is served before.
    pub synced: bool,
    /// The revision that is served.
    pub revision: u64,
    /// Accepted objects.
    pub objects: List<ObjectStatus>,
    /// Errors, and parts that will not work as written.
    pub diagnostics: List<Diagnostic>,
    /// Documents of kinds that are not this server's, which it passes over.
    #[serde(default)]
    pub passed_over: usize,
    /// Files that have errors and no earlier version in the data folder: a restart with them as they are finds nothing of what
    /// they define. Empty without a data folder.
    #[serde(default)]
    pub not_kept: Vec<String>,
    /// Files that hold back the first configuration: they cannot be read, no earlier version of them is known, and they may
    /// restrict or pin calls. Empty once `synced`.
    #[serde(default)]
    pub blocked_by: Vec<String>,
    /// What the sources say and does not take effect before an operator approves it.
    #[serde(default)]
    pub waiting: Option<WaitingChange>,
    /// Why no change of the configuration can take effect any more; what is served stays. The server is not ready then, and
    /// ends.
    #[serde(default)]
    pub failed: Option<String>,
    /// Where the objects stand, to answer questions with a file and a line.
    #[serde(skip)]
    pub places: Places,
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

/// A list that is made when it is read for the first time, because most states are never read.
#[derive(Clone)]
pub struct List<T> {
    items: Arc<OnceLock<Vec<T>>>,
    make: Option<Arc<dyn Fn() -> Vec<T> + Send + Sync>>,
    /// How many there are, if that is known before they are made.
    count: Option<usize>,
}

impl<T> List<T> {
    pub(crate) fn lazy(make: impl Fn() -> Vec<T> + Send + Sync + 'static) -> Self {
        Self { items: Arc::default(), make: Some(Arc::new(make)), count: None }
    }

    /// The same list, of which is known how long it will be.
    pub(crate) fn with_count(self, count: usize) -> Self {
        Self { count: Some(count), ..self }
    }

    /// How many items there are; does not make the list where that is known.
    pub fn count(&self) -> usize {
        self.count.unwrap_or_else(|| self.len())
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self::from(Vec::new())
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(items: Vec<T>) -> Self {
        Self { count: Some(items.len()), items: Arc::new(items.into()), make: None }
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::from(items.into_iter().collect::<Vec<T>>())
    }
}

impl<'a, T> IntoIterator for &'a List<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T> Deref for List<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.items.get_or_init(|| self.make.as_ref().map(|make| make()).unwrap_or_default())
    }
}

impl<T: fmt::Debug> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Serialize> Serialize for List<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from)
    }
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
    /// What it is about, for programs.
    #[serde(default)]
    pub code: Code,
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
    /// The clients that it is about; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<ClientFamily>,
}

/// Clients that a [`Diagnostic`] may be about alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ClientFamily {
    /// gRPC's own libraries, of any language, and what is not known.
    #[default]
    Grpc,
    /// `mesh-tonic`.
    MeshTonic,
    /// Envoy.
    Envoy,
    /// One that a later version knows.
    #[serde(other)]
    Other,
}

impl ClientFamily {
    /// As it is written in messages and answers.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::MeshTonic => "mesh-tonic",
            Self::Envoy => "envoy",
            Self::Other => "other",
        }
    }

    /// The family of a node's `user_agent_name`.
    pub(crate) fn of_agent(name: &str) -> Self {
        match name {
            "mesh-rs" => Self::MeshTonic,
            "envoy" => Self::Envoy,
            _ => Self::Grpc,
        }
    }
}

/// How bad a [`Diagnostic`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The object is refused, and its last good version stays in use; or something that it refers to is missing, and calls that
    /// need it fail.
    Error,
    /// Accepted, but a part has no effect for some client classes.
    Warning,
    /// Accepted, and works as written: something that its author may want to know.
    Info,
}

/// What a [`Diagnostic`] is about. Names are stable, texts are not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Code {
    /// A file or a folder cannot be read.
    Unreadable,
    /// A text is neither YAML nor JSON.
    InvalidSyntax,
    /// `kind` or `apiVersion` is none that is known.
    UnknownKind,
    /// A field that the kind does not have.
    UnknownField,
    /// A field that is needed, or that is there without a value.
    MissingField,
    /// A value that the field cannot have.
    InvalidValue,
    /// A regular expression that clients refuse or read differently.
    InvalidRegex,
    /// A legal value that no client can do.
    Unsupported,
    /// A field that has no effect, or not the whole of it.
    NoEffect,
    /// Another object of the same kind, namespace and name is in use.
    Duplicate,
    /// Another object is in use for the same host.
    Conflicted,
    /// A name that no object of the configuration has.
    UnresolvedReference,
    /// A resource that clients would refuse.
    RefusedByClients,
    /// A code of a later version.
    #[default]
    #[serde(other)]
    Other,
}

impl std::fmt::Display for Diagnostic {
    /// `file:line:column: error: object: field: message`, as compilers do.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "info",
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
