//! A gRPC service that resources may name.

use super::{CallCredentials, ChannelCredentials};

/// How to call a gRPC service that resources may name even if their server is not trusted.
// BS-46
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedGrpcService {
    channel_credentials: ChannelCredentials,
    call_credentials: Vec<CallCredentials>,
}

impl AllowedGrpcService {
    /// A service that is called with these credentials.
    pub fn new(channel_credentials: ChannelCredentials) -> Self {
        Self { channel_credentials, call_credentials: Vec::new() }
    }

    /// The same service, with credentials for each call.
    #[must_use]
    pub fn with_call_credentials(self, call_credentials: Vec<CallCredentials>) -> Self {
        Self { call_credentials, ..self }
    }

    /// How the connection to it is secured.
    pub fn channel_credentials(&self) -> &ChannelCredentials {
        &self.channel_credentials
    }

    /// How each call authenticates.
    pub fn call_credentials(&self) -> &[CallCredentials] {
        &self.call_credentials
    }
}
