//! An xDS server as the bootstrap describes it.

use super::{CallCredentials, ChannelCredentials};

/// An xDS server. Equal ones share one connection and one stream: what counts is the URI, the credentials and
/// the features that this library knows.
// BS-23
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerConfig {
    uri: String,
    credentials: ChannelCredentials,
    call_credentials: Vec<CallCredentials>,
    features: ServerFeatures,
}

impl ServerConfig {
    /// A server at `uri`, as a gRPC target: `host:port`, `dns:///host:port`.
    pub fn new(uri: impl Into<String>, credentials: ChannelCredentials) -> Self {
        Self {
            uri: uri.into(),
            credentials,
            call_credentials: Vec::new(),
            features: ServerFeatures::default(),
        }
    }

    /// A server that is reached in plaintext.
    pub fn insecure(uri: impl Into<String>) -> Self {
        Self::new(uri, ChannelCredentials::Insecure)
    }

    /// The same server, with credentials for each stream. All of them are sent.
    // BS-13
    #[must_use]
    pub fn with_call_credentials(self, call_credentials: Vec<CallCredentials>) -> Self {
        Self { call_credentials, ..self }
    }

    /// The same server with these features.
    #[must_use]
    pub fn with_features(self, features: ServerFeatures) -> Self {
        Self { features, ..self }
    }

    /// Where it is, as configured.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// How the connection to it is secured.
    pub fn credentials(&self) -> &ChannelCredentials {
        &self.credentials
    }

    /// How each stream authenticates.
    pub fn call_credentials(&self) -> &[CallCredentials] {
        &self.call_credentials
    }

    /// Its features.
    pub fn features(&self) -> ServerFeatures {
        self.features
    }
}

/// The features of a server (`server_features`). Everything is off by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct ServerFeatures {
    /// Listeners and clusters that the server deletes stay in use.
    // BS-19
    pub ignore_resource_deletion: bool,
    /// Security-sensitive fields of its resources are used.
    // BS-20
    pub trusted_xds_server: bool,
    /// A data error removes the last good resource.
    // BS-21
    pub fail_on_data_errors: bool,
    /// A resource that does not come in time means that the server is slow, not that the resource is absent.
    // BS-22
    pub resource_timer_is_transient_error: bool,
    /// The client uses incremental xDS with this server. A feature of this library only.
    // TR-48
    pub incremental_xds: bool,
}

impl ServerFeatures {
    /// Unknown names, and `xds_v3`, which is always on, change nothing (BS-17, BS-18).
    pub(super) fn switch_on(&mut self, name: &str) {
        match name {
            "ignore_resource_deletion" => self.ignore_resource_deletion = true,
            "trusted_xds_server" => self.trusted_xds_server = true,
            "fail_on_data_errors" => self.fail_on_data_errors = true,
            "resource_timer_is_transient_error" => self.resource_timer_is_transient_error = true,
            "incremental_xds" => self.incremental_xds = true,
            _ => {}
        }
    }
}
