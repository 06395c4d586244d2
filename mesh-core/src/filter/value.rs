//! Values that configure filters.

use std::any::Any;
use std::fmt::Debug;

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
