//! What parts of the routes hand to a filter.

use std::any::{Any, type_name};
use std::fmt::Debug;

use super::BuildError;

/// What virtual host, route and weighted cluster hand to one filter (gRFC A39).
///
/// Most filters take [`most_specific`](Self::most_specific) instead of their own configuration.
// HF-01, HF-03
#[derive(Debug, Clone, Copy, Default)]
pub struct Overrides<'a> {
    /// The most specific first.
    levels: [Option<&'a dyn ConfigValue>; 3],
}

impl<'a> Overrides<'a> {
    /// Nothing overrides the configuration.
    pub fn none() -> Self {
        Self::default()
    }

    /// The settings of each level.
    pub fn new(
        virtual_host: Option<&'a dyn ConfigValue>,
        route: Option<&'a dyn ConfigValue>,
        weighted_cluster: Option<&'a dyn ConfigValue>,
    ) -> Self {
        Self { levels: [weighted_cluster, route, virtual_host] }
    }

    /// The weighted cluster's, else the route's, else the virtual host's.
    ///
    /// # Errors
    /// A [`BuildError`] when it is not a `T`.
    // HF-01
    pub fn most_specific<T: ConfigValue>(self) -> Result<Option<&'a T>, BuildError> {
        self.levels.into_iter().flatten().next().map(as_type).transpose()
    }

    /// All of them, the most specific first.
    ///
    /// # Errors
    /// A [`BuildError`] when one is not a `T`.
    pub fn all<T: ConfigValue>(self) -> Result<Vec<&'a T>, BuildError> {
        self.levels.into_iter().flatten().map(as_type).collect()
    }
}

fn as_type<T: ConfigValue>(value: &dyn ConfigValue) -> Result<&T, BuildError> {
    let wrong = || BuildError::new(format!("its override is not a {}: {value:?}", type_name::<T>()));
    value.downcast_ref().ok_or_else(wrong)
}

/// A value of any type that configures a filter or overrides its configuration.
///
/// Every `Debug + PartialEq + Send + Sync + 'static` type is one; there is nothing to implement.
pub trait ConfigValue: Any + Debug + Send + Sync {
    /// Whether `other` is of the same type and equal.
    fn is_equal(&self, other: &dyn ConfigValue) -> bool;
}

impl<T: Any + Debug + PartialEq + Send + Sync> ConfigValue for T {
    fn is_equal(&self, other: &dyn ConfigValue) -> bool {
        other.downcast_ref::<Self>().is_some_and(|other| self == other)
    }
}

impl dyn ConfigValue {
    /// The value, if it is a `T`.
    pub fn downcast_ref<T: ConfigValue>(&self) -> Option<&T> {
        (self as &dyn Any).downcast_ref()
    }
}
