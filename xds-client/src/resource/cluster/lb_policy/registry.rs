//! Load-balancing policies of users.

use std::fmt::{self, Debug};
use std::sync::Arc;

use mesh_core::policy::lb::CustomPolicy;

use crate::resource::{ExtensionError, ExtensionPayload};

/// A kind of load-balancing policy of a user: the type of its configuration, and its decoder (gRFC A52). Pass it in with
/// [`Options::lb_policies`](crate::Options::lb_policies).
///
/// ```
/// use mesh_core::policy::lb::{Balancer, CustomPolicy};
/// use xds_client::Options;
/// use xds_client::resource::{ExtensionError, ExtensionPayload, LbPolicyRegistry, LbPolicyType};
///
/// # fn nearest(meters: u64) -> Box<dyn Balancer> { panic!("{meters}") }
/// /// Configured by a `TypedStruct` of the type `example.Nearest`.
/// #[derive(Debug)]
/// struct NearestType;
///
/// impl LbPolicyType for NearestType {
///     fn type_name(&self) -> &str {
///         "example.Nearest"
///     }
///
///     fn decode(&self, payload: &ExtensionPayload<'_>) -> Result<CustomPolicy, ExtensionError> {
///         let fields = payload.fields().ok_or_else(|| ExtensionError::new("expected a TypedStruct"))?;
///         let meters = fields["meters"].as_u64().ok_or_else(|| ExtensionError::at("meters", "expected a number"))?;
///         Ok(CustomPolicy::configured("nearest", meters, |meters| nearest(*meters)))
///     }
/// }
///
/// let options = Options::default().with_lb_policies(LbPolicyRegistry::default().with(NearestType));
/// # drop(options);
/// ```
pub trait LbPolicyType: Debug + Send + Sync + 'static {
    /// The full name of its configuration's type: the part after the last `/` of the type URL, or of that in a `TypedStruct`.
    fn type_name(&self) -> &str;

    /// Reads and validates a configuration. Equal configurations have to become equal policies
    /// ([`CustomPolicy::configured`]): a cluster whose policy is equal to the one before keeps its connections.
    ///
    /// # Errors
    /// An [`ExtensionError`] refuses the cluster; no later policy of its list is tried.
    // LB-04
    fn decode(&self, payload: &ExtensionPayload<'_>) -> Result<CustomPolicy, ExtensionError>;
}

/// The kinds of load-balancing policies of users that a client knows, beside those of this library. The default has none.
#[derive(Clone, Default)]
pub struct LbPolicyRegistry(Arc<[Arc<dyn LbPolicyType>]>);

impl LbPolicyRegistry {
    /// With one more kind. It replaces a kind with the same configuration type; those of this library cannot be replaced.
    #[must_use]
    pub fn with(self, policy: impl LbPolicyType) -> Self {
        let others = self.0.iter().filter(|known| known.type_name() != policy.type_name()).cloned();
        let others: Vec<_> = others.collect();
        Self(others.into_iter().chain([Arc::new(policy) as _]).collect())
    }

    pub(super) fn of_type(&self, type_name: &str) -> Option<&dyn LbPolicyType> {
        self.0.iter().find(|known| known.type_name() == type_name).map(|found| &**found)
    }
}

/// Whether both have the very same kinds.
impl PartialEq for LbPolicyRegistry {
    fn eq(&self, other: &Self) -> bool {
        let is_same = |(own, other): (&Arc<dyn LbPolicyType>, &Arc<dyn LbPolicyType>)| {
            std::ptr::addr_eq(Arc::as_ptr(own), Arc::as_ptr(other))
        };
        self.0.len() == other.0.len() && self.0.iter().zip(other.0.iter()).all(is_same)
    }
}

impl Debug for LbPolicyRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|known| known.type_name())).finish()
    }
}
