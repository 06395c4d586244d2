//! Why a stream of load reports is ended (SEC-16).

use std::fmt;
use std::time::Duration;

use tonic::Status;

use crate::connection::Unread;

use super::limits::{BURST, MAX_NODE_ID, MAX_REPORT_BYTES, PER_INTERVAL};

/// Why a stream is ended; its text names the limit and the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No request at all.
    Silent { limit: Duration },
    /// A longer node id than is allowed.
    NodeId { found: usize },
    /// Far more reports than one per interval.
    Requests { interval: Duration },
    /// More bytes in one request than the limit.
    TooLarge { reason: String },
    /// A request that is no message.
    Unreadable { reason: String },
}

impl Refusal {
    /// What is wrong with a request; `None` if the connection has failed or the client has disconnected.
    pub(super) fn of_request(status: &Status) -> Option<Self> {
        let reason = status.message().to_owned();
        Some(match Unread::of(status)? {
            Unread::TooLarge => Self::TooLarge { reason },
            Unread::Broken => Self::Unreadable { reason },
        })
    }

    /// The status for the client.
    pub(super) fn status(&self) -> Status {
        let text = self.to_string();
        match self {
            Self::Silent { .. } | Self::NodeId { .. } | Self::Unreadable { .. } => {
                Status::invalid_argument(text)
            }
            Self::Requests { .. } | Self::TooLarge { .. } => Status::resource_exhausted(text),
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
                "the node id has {found} bytes, at most {MAX_NODE_ID} are allowed; choose a shorter node.id in the bootstrap"
            ),
            Self::Requests { interval } => write!(
                f,
                "too many load reports: {BURST} at once and {PER_INTERVAL} every {interval:?} are allowed; report once per \
                 load_reporting_interval"
            ),
            Self::TooLarge { reason } => write!(
                f,
                "a load report is too large, at most {MAX_REPORT_BYTES} bytes are allowed; report fewer clusters, localities or \
                 metrics at once: {reason}"
            ),
            Self::Unreadable { reason } => write!(
                f,
                "a load report cannot be read; send messages of type envoy.service.load_stats.v3.LoadStatsRequest, not \
                 compressed: {reason}"
            ),
        }
    }
}
