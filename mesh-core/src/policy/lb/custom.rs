//! A load-balancing policy of a user.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use rand::Rng;

use crate::config::Name;

use super::{Balancer, Command, Connectivity, EndpointId, LbUpdate, Picker};

/// A load-balancing policy of a user, for [`LbPolicy::Custom`](crate::config::LbPolicy::Custom).
///
/// The mesh makes one balancer for each locality of a cluster, or for each priority under
/// [`LocalityPolicy::Flat`](crate::config::LocalityPolicy::Flat), and keeps priorities, drops, circuit breaking and outlier
/// detection to itself. A cluster whose new configuration has an equal policy keeps its balancers and their connections.
#[derive(Clone)]
pub struct CustomPolicy {
    name: Name,
    make: Arc<dyn Make>,
}

impl CustomPolicy {
    /// A policy whose balancers `make` makes. `name` is for logs. It is equal to its clones only.
    pub fn new<B: Balancer + 'static>(
        name: impl Into<Name>,
        make: impl Fn() -> B + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), make: Arc::new(Maker { config: Unequal, make: move |_: &Unequal| make() }) }
    }

    /// A policy with a configuration, from which `make` makes balancers. Two of them are equal if their names and their
    /// configurations are: so one that comes with every update of a cluster keeps the cluster's connections.
    pub fn configured<C, B>(
        name: impl Into<Name>,
        config: C,
        make: impl Fn(&C) -> B + Send + Sync + 'static,
    ) -> Self
    where
        C: PartialEq + Send + Sync + 'static,
        B: Balancer + 'static,
    {
        Self { name: name.into(), make: Arc::new(Maker { config, make }) }
    }

    /// A new balancer, without endpoints.
    pub(super) fn balancer(&self) -> Box<dyn Balancer> {
        self.make.balancer()
    }
}

/// Makes balancers of a configuration.
trait Make: Send + Sync {
    fn balancer(&self) -> Box<dyn Balancer>;

    fn config(&self) -> &dyn Any;

    fn has_config(&self, other: &dyn Any) -> bool;
}

struct Maker<C, F> {
    config: C,
    make: F,
}

impl<C, F, B> Make for Maker<C, F>
where
    C: PartialEq + Send + Sync + 'static,
    F: Fn(&C) -> B + Send + Sync,
    B: Balancer + 'static,
{
    fn balancer(&self) -> Box<dyn Balancer> {
        Box::new((self.make)(&self.config))
    }

    fn config(&self) -> &dyn Any {
        &self.config
    }

    fn has_config(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(&self.config)
    }
}

/// Differs from everything.
struct Unequal;

impl PartialEq for Unequal {
    fn eq(&self, _: &Self) -> bool {
        false
    }
}

impl PartialEq for CustomPolicy {
    fn eq(&self, other: &Self) -> bool {
        let is_same = || self.name == other.name && self.make.has_config(other.make.config());
        Arc::ptr_eq(&self.make, &other.make) || is_same()
    }
}

impl fmt::Debug for CustomPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CustomPolicy").field(&self.name).finish()
    }
}

impl<B: Balancer + ?Sized> Balancer for Box<B> {
    fn update(&mut self, now: Instant, update: LbUpdate, rng: &mut dyn Rng) {
        (**self).update(now, update, rng);
    }

    fn on_connectivity(&mut self, now: Instant, id: EndpointId, state: Connectivity, rng: &mut dyn Rng) {
        (**self).on_connectivity(now, id, state, rng);
    }

    fn exit_idle(&mut self, now: Instant, rng: &mut dyn Rng) {
        (**self).exit_idle(now, rng);
    }

    fn connectivity(&self) -> Connectivity {
        (**self).connectivity()
    }

    fn next_deadline(&self) -> Option<Instant> {
        (**self).next_deadline()
    }

    fn on_deadline(&mut self, now: Instant, rng: &mut dyn Rng) {
        (**self).on_deadline(now, rng);
    }

    fn poll_command(&mut self) -> Option<Command> {
        (**self).poll_command()
    }

    fn poll_picker(&mut self) -> Option<(Connectivity, Arc<dyn Picker>)> {
        (**self).poll_picker()
    }

    fn selected(&self) -> Option<&Name> {
        (**self).selected()
    }

    fn needs(&self, cluster: &str) -> bool {
        (**self).needs(cluster)
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

    #[test]
    fn policies_of_one_name_and_equal_configurations_are_equal() {
        let make = |name: &str, limit: u32| CustomPolicy::configured(name, limit, |_| Priority::default());
        assert_eq!(make("a", 1), make("a", 1));
        assert_ne!(make("a", 1), make("a", 2));
        assert_ne!(make("a", 1), make("b", 1));
        let text = CustomPolicy::configured("a", "1", |_| Priority::default());
        assert_ne!(make("a", 1), text, "the types of the configurations differ");
    }
}
