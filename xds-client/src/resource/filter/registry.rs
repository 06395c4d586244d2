//! The known filters.

use std::fmt;
use std::sync::{Arc, LazyLock};

use super::ext_authz::ExtAuthzType;
use super::fault::FaultType;
use super::header_mutation::HeaderMutationType;
use super::jwt_authn::JwtAuthnType;
use super::local_rate_limit::LocalRateLimitType;
use super::rbac::RbacFilter;
use super::stateful_session::StatefulSessionType;
use super::{HttpFilterType, ROUTER};

/// The kinds of HTTP filters that a client knows, by the types of their configurations. The default has those of this
/// library: fault injection (gRFC A33), header mutation, local rate limits,
/// tokens, authorization (gRFC A41), external authorization (gRFC A92) and session affinity (gRFC A55).
#[derive(Clone)]
pub struct FilterRegistry(Arc<[Arc<dyn HttpFilterType>]>);

impl FilterRegistry {
    /// With one more kind. It replaces a kind with the same configuration type; the router cannot be replaced.
    #[must_use]
    pub fn with(self, filter: impl HttpFilterType) -> Self {
        let others = self.0.iter().filter(|known| known.type_name() != filter.type_name()).cloned();
        let others: Vec<_> = others.collect();
        Self(others.into_iter().chain([Arc::new(filter) as _]).collect())
    }

    /// The kind that listeners configure by this type.
    pub(super) fn of_type(&self, type_name: &str) -> Option<&dyn HttpFilterType> {
        let found = self.0.iter().find(|known| known.type_name() == type_name)?;
        (type_name != ROUTER).then_some(&**found)
    }

    /// The kind that routes override by this type.
    pub(super) fn of_override(&self, type_name: &str) -> Option<&dyn HttpFilterType> {
        let found = self.0.iter().find(|known| known.override_type_name() == Some(type_name));
        found.map(|found| &**found)
    }
}

impl Default for FilterRegistry {
    fn default() -> Self {
        OURS.clone()
    }
}

/// Whether both have the very same kinds.
impl PartialEq for FilterRegistry {
    fn eq(&self, other: &Self) -> bool {
        let is_same = |(own, other): (&Arc<dyn HttpFilterType>, &Arc<dyn HttpFilterType>)| {
            std::ptr::addr_eq(Arc::as_ptr(own), Arc::as_ptr(other))
        };
        self.0.len() == other.0.len() && self.0.iter().zip(other.0.iter()).all(is_same)
    }
}

static OURS: LazyLock<FilterRegistry> = LazyLock::new(|| {
    FilterRegistry(Arc::new([
        Arc::new(ExtAuthzType),
        Arc::new(FaultType),
        Arc::new(HeaderMutationType),
        Arc::new(JwtAuthnType),
        Arc::new(LocalRateLimitType),
        Arc::new(RbacFilter::default()),
        Arc::new(StatefulSessionType),
    ]))
});

impl fmt::Debug for FilterRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|known| known.type_name())).finish()
    }
}
