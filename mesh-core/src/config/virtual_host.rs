//! A virtual host: the routes for a set of domains.

use std::sync::Arc;

use super::{ConfigError, FilterOverrides, HeaderMutations, RetryPolicy, Route};

/// The routes for a set of domains.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct VirtualHost {
    /// For logs and errors.
    pub name: String,
    /// Which authorities it serves.
    pub domains: Vec<DomainPattern>,
    /// First match wins.
    // RT-06
    pub routes: Vec<Arc<Route>>,
    /// For routes that have no policy of their own.
    // RT-39
    pub retry: Option<Arc<RetryPolicy>>,
    /// Overrides of filters, for all its routes.
    pub filters: FilterOverrides,
    /// Changes of headers, for all its routes.
    // RT-66
    pub headers: HeaderMutations,
}

impl VirtualHost {
    /// A virtual host without retries, without overrides of filters and changes of headers.
    pub fn new(name: impl Into<String>, domains: Vec<DomainPattern>, routes: Vec<Arc<Route>>) -> Self {
        let (filters, headers) = (FilterOverrides::new(), HeaderMutations::new());
        Self { name: name.into(), domains, routes, retry: None, filters, headers }
    }
}

/// A pattern for an authority, compared without regard to ASCII case.
// RT-01, RT-02
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DomainPattern {
    /// The whole authority, in lower case.
    Exact(String),
    /// `*` and this suffix, in lower case.
    Suffix(String),
    /// This prefix, in lower case, and `*`.
    Prefix(String),
    /// `*`: every authority.
    Any,
}

impl DomainPattern {
    /// Reads `exact`, `*suffix`, `prefix*` or `*`.
    ///
    /// # Errors
    /// [`ConfigError::InvalidDomain`] for an empty pattern or a `*` anywhere else.
    // RDS-02
    pub fn parse(pattern: &str) -> Result<Self, ConfigError> {
        let lower = pattern.to_ascii_lowercase();
        let invalid = || ConfigError::InvalidDomain { pattern: pattern.to_owned() };
        let parsed = match (lower.strip_prefix('*'), lower.strip_suffix('*')) {
            (Some(""), _) => Self::Any,
            (Some(suffix), None) => Self::Suffix(suffix.to_owned()),
            (None, Some(prefix)) => Self::Prefix(prefix.to_owned()),
            (None, None) if !lower.is_empty() => Self::Exact(lower),
            _ => return Err(invalid()),
        };
        match &parsed {
            Self::Exact(text) | Self::Suffix(text) | Self::Prefix(text) if text.contains('*') => {
                Err(invalid())
            }
            _ => Ok(parsed),
        }
    }
}
