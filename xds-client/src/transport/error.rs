//! Why a stream cannot be opened, or has ended.

use mesh_core::WithCauses;

/// Why a stream cannot be opened, or has ended.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// An error of the network or the server.
    #[error("{reason}")]
    Failed {
        /// One line, with its causes.
        reason: String,
    },
    /// The server's URI or the files of its credentials cannot be used.
    #[error("{reason}")]
    Credentials {
        /// Which one, and why.
        reason: String,
    },
    /// A response is larger than this client takes.
    #[error(
        "response of type {type_url} has {size} bytes, more than the limit of {limit}; Options::max_message_size \
         raises it"
    )]
    MessageTooLarge {
        /// The resources' type, as far as it could be read.
        type_url: String,
        /// The message's size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

mesh_core::debug_with_causes!(TransportError);

impl TransportError {
    /// A failure of the network or the server.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self::Failed { reason: reason.into() }
    }

    /// Unusable credentials or an unusable URI.
    pub(super) fn credentials(reason: impl Into<String>) -> Self {
        Self::Credentials { reason: reason.into() }
    }

    /// The same error, with the place in front unless its text has it already.
    pub(super) fn at(self, place: &str) -> Self {
        let placed = |reason: String| {
            let is_placed = reason.strip_prefix(place).is_some_and(|rest| rest.starts_with(':'));
            if is_placed { reason } else { format!("{place}: {reason}") }
        };
        match self {
            Self::Failed { reason } => Self::Failed { reason: placed(reason) },
            Self::Credentials { reason } => Self::Credentials { reason: placed(reason) },
            other @ Self::MessageTooLarge { .. } => other,
        }
    }

    /// The error and its causes on one line, without causes that repeat what is said already.
    pub(super) fn from_chain(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Failed { reason: WithCauses(error).to_string() }
    }
}
