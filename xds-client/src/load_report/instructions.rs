//! What a server wants reported.

use std::collections::BTreeSet;
use std::time::Duration;

use xds_proto::envoy::service::load_stats::v3::LoadStatsResponse;
use xds_proto::google::protobuf::Duration as ProtoDuration;

/// What a server wants reported, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instructions {
    /// Between two reports.
    pub interval: Duration,
    /// Which clusters.
    pub wanted: Wanted,
}

/// The clusters that a server wants reports of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of them.
    All,
    /// The clusters of these names.
    Clusters(BTreeSet<String>),
}

/// A response whose interval is invalid.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "load_reporting_interval of {seconds} s and {nanos} ns is not a positive duration: set it in LoadStatsResponse"
)]
pub(crate) struct InvalidInstructions {
    seconds: i64,
    nanos: i32,
}

mesh_core::debug_with_causes!(InvalidInstructions);

impl Instructions {
    /// Reads a response. An interval below 100 ms counts as 100 ms.
    ///
    /// # Errors
    /// [`InvalidInstructions`] without an interval, and with one that is not a positive duration (TR-65).
    pub(crate) fn read(response: LoadStatsResponse) -> Result<Self, InvalidInstructions> {
        let ProtoDuration { seconds, nanos } = response.load_reporting_interval.unwrap_or_default();
        let interval = match (u64::try_from(seconds), u32::try_from(nanos)) {
            (Ok(seconds), Ok(nanos)) if nanos < 1_000_000_000 => Duration::new(seconds, nanos),
            _ => Duration::ZERO,
        };
        if interval.is_zero() {
            return Err(InvalidInstructions { seconds, nanos });
        }
        let wanted = match response.send_all_clusters {
            true => Wanted::All,
            false => Wanted::Clusters(response.clusters.into_iter().collect()),
        };
        Ok(Self { interval: interval.max(SHORTEST), wanted })
    }
}

impl Wanted {
    /// Whether this cluster is one of them.
    pub(crate) fn contains(&self, cluster: &str) -> bool {
        match self {
            Self::All => true,
            Self::Clusters(clusters) => clusters.contains(cluster),
        }
    }
}

/// More frequent reports cost work without more information.
const SHORTEST: Duration = Duration::from_millis(100);
