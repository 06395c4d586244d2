//! Reference counts by shard.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use super::{MAX_SHARDS, shard};

/// A value to which calls refer: each shard has a reference count of its own, made when a thread of the shard first needs it.
pub(crate) struct Refs<T> {
    value: Arc<T>,
    /// By shard. Made by the first call, so that a value without calls costs little.
    counted: OnceLock<Box<[OnceLock<Ref<T>>; MAX_SHARDS]>>,
}

/// A reference that is counted in the shard of the thread that made it. Clones are counted in the same shard.
pub(crate) struct Ref<T>(Arc<Counted<T>>);

/// Starts a cache line, so that the line of the count before it is not shared with another allocation.
#[repr(align(64))]
struct Counted<T>(Arc<T>);

impl<T> Refs<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: Arc::new(value), counted: OnceLock::new() }
    }

    /// A reference that is counted in this thread's shard.
    #[inline(always)]
    pub(crate) fn own(&self) -> Ref<T> {
        let all = self.counted.get_or_init(Box::default);
        all[shard() % MAX_SHARDS].get_or_init(|| Ref(Arc::new(Counted(self.value.clone())))).clone()
    }

    /// The value, counted in one place: for all but calls.
    pub(crate) fn value(&self) -> &Arc<T> {
        &self.value
    }
}

impl<T> Deref for Refs<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Deref for Ref<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0.0
    }
}

impl<T> Clone for Ref<T> {
    #[inline]
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: fmt::Debug> fmt::Debug for Refs<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T: fmt::Debug> fmt::Debug for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_lives_until_its_last_reference_of_any_thread() {
        let refs = Refs::new("value".to_owned());
        let value = Arc::downgrade(refs.value());
        let of_another_thread = std::thread::scope(|scope| scope.spawn(|| refs.own()).join().unwrap());
        let own = refs.own();
        assert_eq!((&**own, &**of_another_thread), ("value", "value"));
        drop(refs);
        drop(own);
        assert!(value.upgrade().is_some());
        drop(of_another_thread);
        assert!(value.upgrade().is_none());
    }

    #[test]
    fn references_of_one_thread_share_a_count() {
        let refs = Refs::new(1);
        let (first, second) = (refs.own(), refs.own());
        assert!(Arc::ptr_eq(&first.0, &second.0));
        assert_eq!(Arc::strong_count(&first.0), 3);
    }
}
