//! Why a stream of load reports is ended (SEC-16).

use std::fmt;
use std::time::Duration;

use tonic::Status;

use super::limits::{BURST, MAX_NODE_ID, PER_INTERVAL};

/// Why a stream is ended; as text, what the limit is and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No request at all.
    Silent { limit: Duration },
    /// A longer node id than is allowed.
    NodeId { found: usize },
    /// Far more reports than one per interval.
    Requests { interval: Duration },
}

impl Refusal {
    /// What the client is told.
    pub(super) fn status(&self) -> Status {
        let text = self.to_string();
        match self {
            Self::Silent { .. } | Self::NodeId { .. } => Status::invalid_argument(text),
            Self::Requests { .. } => Status::resource_exhausted(text),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent { limit } => write!(
                f,
                "no request within {} s; send the node right after opening the stream",
                limit.as_secs()
            ),
            Self::NodeId { found } => write!(
                f,
                "the node id has {found} bytes, at most {MAX_NODE_ID} are allowed; choose a shorter node.id in the \
                 bootstrap"
            ),
            Self::Requests { interval } => write!(
                f,
                "too many load reports: {BURST} at once and {PER_INTERVAL} every {interval:?} are allowed; report once per \
                 load_reporting_interval"
            ),
        }
    }
}
