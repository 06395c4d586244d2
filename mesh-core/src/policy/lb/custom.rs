//! A load-balancing policy of a user.

use std::fmt;
use std::sync::Arc;

use crate::config::Name;

use super::Balancer;

/// A load-balancing policy of a user, for [`LbPolicy::Custom`](crate::config::LbPolicy::Custom).
///
/// The mesh makes one balancer for each locality of a cluster, or for each priority under
/// [`LocalityPolicy::Flat`](crate::config::LocalityPolicy::Flat), and keeps priorities, drops, circuit breaking and outlier
/// detection to itself. Make the policy once and clone it: two clones are equal, and a cluster whose new configuration has an
/// equal policy keeps its balancers and their connections.
#[derive(Clone)]
pub struct CustomPolicy {
    name: Name,
    make: Arc<MakeBalancer>,
}

type MakeBalancer = dyn Fn() -> Box<dyn Balancer> + Send + Sync;

impl CustomPolicy {
    /// A policy whose balancers `make` makes. `name` is for logs.
    pub fn new<B: Balancer + 'static>(
        name: impl Into<Name>,
        make: impl Fn() -> B + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), make: Arc::new(move || Box::new(make())) }
    }

    /// A new balancer, without endpoints.
    pub(super) fn balancer(&self) -> Box<dyn Balancer> {
        (self.make)()
    }
}

impl PartialEq for CustomPolicy {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.make, &other.make)
    }
}

impl fmt::Debug for CustomPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CustomPolicy").field(&self.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::priority::Priority;
    use super::*;

    #[test]
    fn clones_are_equal_and_policies_made_apart_are_not() {
        let make = || CustomPolicy::new("least_loaded", Priority::default);
        let policy = make();
        assert_eq!(policy, policy.clone());
        assert_ne!(policy, make());
        assert_eq!(format!("{policy:?}"), r#"CustomPolicy("least_loaded")"#);
    }
}
