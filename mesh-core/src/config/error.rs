//! Why a configuration, or a part of one, cannot be used.

use std::sync::Arc;

use super::Name;

/// A configuration that breaks an invariant.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A route or an aggregate names a cluster that the configuration does not have.
    #[error("cluster {cluster:?} is named but not configured")]
    UnknownCluster {
        /// The missing cluster.
        cluster: Name,
    },
    /// Two filter chains of a server's listener match the same connections.
    // LDS-17
    #[error("filter chain {second} matches the same connections as filter chain {first}")]
    SameConnections {
        /// The position of the first one.
        first: usize,
        /// The position of the other one.
        second: usize,
    },
    /// A server's filter chain names a route configuration that is not there.
    #[error("route configuration {routes:?} is named but not configured")]
    UnknownRoutes {
        /// The missing route configuration.
        routes: Name,
    },
    /// A virtual host's domain pattern is not `exact`, `*suffix`, `prefix*` or `*`.
    // RDS-02
    #[error("domain {pattern:?} is not a name, \"*suffix\", \"prefix*\" or \"*\"")]
    InvalidDomain {
        /// What was configured.
        pattern: String,
    },
    /// A regular expression does not compile or is too large.
    // RV-07
    #[error("regular expression {pattern:?}: {reason}")]
    InvalidRegex {
        /// What was configured, cut after 200 characters.
        pattern: String,
        /// The engine's message, on one line.
        reason: String,
    },
    /// A weighted choice without any weight, or with more than 4,294,967,295 in all.
    // RDS-11
    #[error("weighted clusters: {reason}")]
    InvalidWeights {
        /// What is wrong with them.
        reason: &'static str,
    },
    /// Retry throttling with tokens out of 1 to 1000, or a ratio that is not at least 0.001.
    // RT-48
    #[error("retry throttling: {max_tokens} tokens; expected 1 to 1000, and a ratio of at least 0.001")]
    InvalidThrottling {
        /// What was configured.
        max_tokens: u32,
    },
    /// A header that belongs to the protocol is to be changed.
    // HF-36
    #[error("header {name:?} belongs to the protocol and is never changed")]
    ProtectedHeader {
        /// The header.
        name: String,
    },
    /// A rule looks at a header that rules may not look at.
    // HF-18
    #[error("header {name:?} cannot be in a rule: it is not visible to rules")]
    HiddenHeader {
        /// The header.
        name: String,
    },
    /// A text is not the name of a header.
    #[error("{name:?} is not a header's name")]
    InvalidHeader {
        /// What was configured.
        name: String,
    },
    /// A range of IP addresses cannot exist.
    #[error("{address}/{prefix}: {reason}")]
    InvalidIpRange {
        /// The address.
        address: std::net::IpAddr,
        /// How many bits of it count.
        prefix: u8,
        /// What is wrong with them.
        reason: &'static str,
    },
}

crate::debug_with_causes!(ConfigError, ResourceError);

/// Why a resource is missing from an otherwise complete configuration, as text for a caller's error.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ResourceError(Arc<str>);

impl ResourceError {
    /// An error with a message that names the resource, the reason and the xDS node.
    pub fn new(message: impl Into<Arc<str>>) -> Self {
        Self(message.into())
    }

    /// The message.
    pub(crate) fn text(&self) -> &Arc<str> {
        &self.0
    }
}
