//! A kind of HTTP filter.

use std::fmt::Debug;
use std::sync::Arc;

use mesh_core::filter::{ConfigValue, FilterConfig};

use crate::resource::transport_socket::Side;

use crate::resource::{ExtensionError, ExtensionPayload};

/// A kind of HTTP filter: the types of its configuration and its override, and their decoders. Open to users' own
/// filters; pass it in with [`Options::filters`](crate::Options::filters).
///
/// ```
/// use std::sync::Arc;
///
/// use http::{HeaderValue, request};
/// use mesh_core::filter::{
///     BuildError, FilterCall, FilterConfig, FilterContext, HttpFilter, Overrides, RequestAction, Stages,
/// };
/// use xds_client::resource::{ExtensionError, ExtensionPayload, FilterRegistry, HttpFilterType};
/// use xds_client::Options;
///
/// /// Tells endpoints which team calls; configured by a `TypedStruct` of the type `example.Team`.
/// #[derive(Debug, Clone, PartialEq)]
/// struct Team(HeaderValue);
///
/// impl HttpFilter for Team {
///     fn stages(&self) -> Stages {
///         Stages::REQUEST
///     }
///
///     fn on_request(&self, head: &mut request::Parts, _: &mut FilterCall<'_>) -> RequestAction {
///         head.headers.insert("x-team", self.0.clone());
///         RequestAction::Continue
///     }
/// }
///
/// impl FilterConfig for Team {
///     fn build(
///         &self,
///         overrides: Overrides<'_>,
///         _: &FilterContext,
///     ) -> Result<Option<Arc<dyn HttpFilter>>, BuildError> {
///         Ok(Some(Arc::new(overrides.most_specific::<Self>()?.unwrap_or(self).clone())))
///     }
/// }
///
/// #[derive(Debug)]
/// struct TeamType;
///
/// impl HttpFilterType for TeamType {
///     fn type_name(&self) -> &str {
///         "example.Team"
///     }
///
///     fn decode(&self, payload: &ExtensionPayload<'_>) -> Result<Arc<dyn FilterConfig>, ExtensionError> {
///         let fields = payload.fields().ok_or_else(|| ExtensionError::new("expected a TypedStruct"))?;
///         let name = fields["name"].as_str().and_then(|name| HeaderValue::from_str(name).ok());
///         Ok(Arc::new(Team(name.ok_or_else(|| ExtensionError::at("name", "expected a header's value"))?)))
///     }
/// }
///
/// let options = Options::default().with_filters(FilterRegistry::default().with(TeamType));
/// # drop(options);
/// ```
pub trait HttpFilterType: Debug + Send + Sync + 'static {
    /// The full name of its configuration's type in listeners: the part after the last `/` of the type URL.
    fn type_name(&self) -> &str;

    /// Where the filter works. Elsewhere it is unknown: a listener that has it is refused unless it is optional. Clients, by
    /// default.
    // LDS-07
    fn sides(&self) -> FilterSides {
        FilterSides::Client
    }

    /// Reads and validates a listener's configuration.
    ///
    /// # Errors
    /// An [`ExtensionError`] refuses the listener, even if the filter is optional.
    // LDS-08
    fn decode(&self, payload: &ExtensionPayload<'_>) -> Result<Arc<dyn FilterConfig>, ExtensionError>;

    /// The full name of its override's type in virtual hosts, routes and weighted clusters; may be the same type.
    /// `None`, the default: they can only switch it on and off.
    fn override_type_name(&self) -> Option<&str> {
        None
    }

    /// Reads and validates an override.
    ///
    /// # Errors
    /// An [`ExtensionError`] refuses the route configuration.
    // RDS-19
    fn decode_override(
        &self,
        _payload: &ExtensionPayload<'_>,
    ) -> Result<Arc<dyn ConfigValue>, ExtensionError> {
        Err(ExtensionError::new("the filter cannot be overridden"))
    }
}

/// Where a filter works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FilterSides {
    /// For calls that this process makes.
    Client,
    /// For calls that it serves.
    Server,
    /// For both.
    Both,
}

impl FilterSides {
    pub(super) fn include(self, side: Side) -> bool {
        match (self, side) {
            (Self::Both, _) | (Self::Client, Side::Client) | (Self::Server, Side::Server) => true,
            (Self::Client, Side::Server) | (Self::Server, Side::Client) => false,
        }
    }
}
