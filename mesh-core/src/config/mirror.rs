//! Mirrors: copies of requests to another cluster.

use http::uri::Authority;

use crate::policy::matcher::Fraction;

use super::Name;

/// Sends copies of a route's requests to another cluster; their responses are dropped.
// RT-65
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Mirror {
    /// Which cluster.
    pub cluster: Name,
    /// Of which share of the calls.
    pub fraction: Fraction,
    /// With which authority.
    pub host: MirrorHost,
}

/// The authority of mirrored requests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum MirrorHost {
    /// The call's, with `-shadow` after the name.
    #[default]
    Suffixed,
    /// The call's.
    Same,
    /// This one.
    Literal(Authority),
}

impl Mirror {
    /// Every request, marked with `-shadow` in its authority.
    pub fn to(cluster: impl Into<Name>) -> Self {
        Self { cluster: cluster.into(), fraction: Fraction::ALL, host: MirrorHost::default() }
    }

    /// A share of the requests.
    #[must_use]
    pub fn with_fraction(self, fraction: Fraction) -> Self {
        Self { fraction, ..self }
    }

    /// With this authority.
    #[must_use]
    pub fn with_host(self, host: MirrorHost) -> Self {
        Self { host, ..self }
    }
}
