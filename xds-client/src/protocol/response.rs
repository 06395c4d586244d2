//! Decoded responses of the server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mesh_core::config::Name;

use crate::resource::AnyResource;

use super::ResourceKind;

/// A `DiscoveryResponse` or `DeltaDiscoveryResponse` with every resource decoded or refused.
#[derive(Debug, Clone, Default)]
pub(crate) struct Response {
    /// The type of all its resources.
    pub type_url: String,
    /// Sent back in an ACK; not used by the incremental protocol.
    pub version: String,
    /// Sent back in every answer.
    pub nonce: String,
    /// In the order of the wire.
    pub resources: Vec<Result<Received, Rejected>>,
    /// Resources whose time to live starts again, without any other change.
    // TR-35
    pub heartbeats: Vec<Heartbeat>,
    /// Resources that were deleted or never existed: only in the incremental protocol.
    // TR-52
    pub removed: Vec<Name>,
    /// Why the server does not send resources.
    // TR-30
    pub errors: Vec<ServerError>,
}

/// A valid resource.
#[derive(Clone)]
pub(crate) struct Received {
    /// The name in the resource itself.
    pub name: Name,
    /// Other names of the resource: only in the incremental protocol.
    // TR-55
    pub aliases: Vec<Name>,
    /// Its own version, in the incremental protocol; otherwise it has the response's.
    pub version: Option<Name>,
    /// How long it lives without a heartbeat; `None`: until it is replaced.
    // TR-35
    pub ttl: Option<Duration>,
    /// The validated value.
    pub resource: AnyResource,
    /// The message that it was decoded from: equal bytes are the same resource.
    // TR-23
    pub bytes: Bytes,
}

impl Received {
    /// The resource of a collection itself, which has no message.
    pub(super) fn of_collection(name: &Name) -> Self {
        Self {
            name: name.clone(),
            aliases: Vec::new(),
            version: None,
            ttl: None,
            resource: Arc::new(()),
            bytes: Bytes::new(),
        }
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received").field("name", &self.name).field("bytes", &self.bytes.len()).finish()
    }
}

/// A resource that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rejected {
    /// `None` when it could not be read.
    // TR-15
    pub name: Option<Name>,
    /// One line without the name: which field, what was found and what was expected.
    pub reason: String,
}

/// A resource whose time to live starts again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heartbeat {
    /// Its name.
    pub name: Name,
    /// The version whose life is extended; empty: any version.
    pub version: Name,
    /// The time to live; `None`: until it is replaced.
    pub ttl: Option<Duration>,
}

/// Why the server does not send a resource (xRFC TP3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerError {
    /// Its name.
    pub name: Name,
    /// A gRPC status code.
    pub code: i32,
    /// The server's text.
    pub message: String,
}

impl ServerError {
    /// Whether the error is about the resource, not about the server's state.
    pub(super) fn is_data_error(&self) -> bool {
        matches!(self.code, NOT_FOUND | PERMISSION_DENIED)
    }
}

const NOT_FOUND: i32 = 5;
const PERMISSION_DENIED: i32 = 7;

/// The errors of a response so far.
#[derive(Debug, Default)]
pub(super) struct Errors {
    texts: Vec<String>,
    more: usize,
    /// A bad resource has no readable name.
    pub(super) nameless: bool,
}

impl Errors {
    pub(super) fn add(&mut self, kind: ResourceKind, resource: &Result<Received, Rejected>) {
        let Err(Rejected { name, reason }) = resource else { return };
        self.nameless |= name.is_none();
        let text = format!("{} {}: {reason}", kind.short_name(), name.as_deref().unwrap_or("(no name)"));
        match self.texts.len() < MAX_ERRORS {
            _ if self.texts.contains(&text) => {}
            true => self.texts.push(text),
            false => self.more += 1,
        }
    }

    /// `None`: no errors.
    pub(super) fn into_text(mut self) -> Option<String> {
        if self.more > 0 {
            self.texts.push(format!("and {} more", self.more));
        }
        (!self.texts.is_empty()).then(|| self.texts.join("; "))
    }
}

/// How many resources a NACK names.
const MAX_ERRORS: usize = 64;
