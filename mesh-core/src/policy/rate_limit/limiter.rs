//! The buckets of one policy at one place, and which of them a call takes tokens from.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::bucket::{Standing, TokenBucket};
use super::descriptor::{CallView, Descriptor};
use super::per_value::PerValueBuckets;
use super::{DescriptorLimit, RateLimitPolicy, TokenLimit};

/// The buckets of one policy at one place.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    policy: RateLimitPolicy,
    default: Arc<TokenBucket>,
    /// One for each of the policy's descriptors.
    buckets: Box<[Buckets]>,
    shapes: Box<[Shape]>,
}

/// Where a limiter's buckets come from, so that those of an earlier configuration can be used again.
pub(crate) trait BucketSource {
    /// The bucket of a descriptor without open entries, or the default one (`None`).
    fn bucket(&self, descriptor: Option<&DescriptorLimit>) -> Arc<TokenBucket>;

    /// The buckets of a descriptor with open entries.
    fn per_value(&self, descriptor: &DescriptorLimit, policy: &RateLimitPolicy) -> Arc<PerValue>;
}

/// A bucket for each value of a descriptor's open entries.
#[derive(Debug)]
pub(crate) struct PerValue(PerValueBuckets);

impl PerValue {
    pub(crate) fn new(policy: &RateLimitPolicy) -> Self {
        Self(PerValueBuckets::new(policy.max_dynamic_buckets))
    }
}

#[derive(Debug)]
enum Buckets {
    One(Arc<TokenBucket>),
    PerValue(Arc<PerValue>),
}

/// The descriptors with the same keys, of which the same are open.
#[derive(Debug)]
struct Shape {
    keys: Vec<Box<str>>,
    /// Which entries are open: any value matches.
    open: Vec<bool>,
    /// Descriptors by their fixed values.
    by_values: HashMap<Box<[u8]>, usize>,
}

/// What the limits say of a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// The limit that refuses the call.
    pub(crate) refused_by: Option<Standing>,
    /// The limit that would refuse it, were it not a shadow limit.
    pub(crate) shadow: Option<Standing>,
    /// Of the limits that let it pass, the one that is closest to its end.
    pub(crate) tightest: Option<Standing>,
}

impl RateLimiter {
    pub(crate) fn new(policy: RateLimitPolicy, source: &dyn BucketSource) -> Self {
        let buckets = policy.descriptors.iter().map(|descriptor| match descriptor.is_open() {
            true => Buckets::PerValue(source.per_value(descriptor, &policy)),
            false => Buckets::One(source.bucket(Some(descriptor))),
        });
        let buckets = buckets.collect();
        let shapes = shapes(&policy.descriptors);
        Self { default: source.bucket(None), buckets, shapes, policy }
    }

    pub(crate) fn policy(&self) -> &RateLimitPolicy {
        &self.policy
    }

    /// Takes tokens for a call from all its limits, the slowest first, and from the default one last (HF-39). A limit that
    /// refuses ends it; what others have given stays taken.
    pub(crate) fn check(&self, call: CallView<'_>, now: Duration) -> Verdict {
        let mut verdict = Verdict::default();
        let mut matched: SmallVec<[Matched<'_>; 4]> = SmallVec::new();
        let described = self.policy.rules.iter().filter_map(|rule| Some((rule, rule.describe(call)?)));
        for (rule, descriptor) in described {
            let Some(index) = self.find(&descriptor) else { continue };
            matched.push(Matched { index, descriptor, cost: rule.cost });
        }
        let limits = &self.policy.descriptors;
        matched.sort_by_key(|matched| std::cmp::Reverse(limits[matched.index].limit.time_per_token()));
        for matched in &matched {
            let limit = &limits[matched.index];
            let taken = self.take(matched, limit.limit, now);
            verdict.add(taken, limit.shadow);
            if verdict.refused_by.is_some() {
                return verdict;
            }
        }
        let takes_default = matched.is_empty() || self.policy.always_takes_default;
        if let Some(limit) = self.policy.bucket.filter(|_| takes_default) {
            verdict.add(self.default.take(now, limit, 1), false);
        }
        verdict
    }

    fn take(&self, matched: &Matched<'_>, limit: TokenLimit, now: Duration) -> Result<Standing, Standing> {
        match &self.buckets[matched.index] {
            Buckets::One(bucket) => bucket.take(now, limit, matched.cost),
            Buckets::PerValue(buckets) => {
                let entries = self.policy.descriptors[matched.index].entries.iter();
                let open = matched.descriptor.iter().zip(entries).filter(|(_, (_, fixed))| fixed.is_none());
                buckets.0.take(&encode(open.map(|((_, value), _)| &**value)), now, limit, matched.cost)
            }
        }
    }

    /// The descriptor that matches: one with all values fixed before one with open entries.
    fn find(&self, descriptor: &Descriptor<'_>) -> Option<usize> {
        self.shapes.iter().find_map(|shape| {
            let fits = shape.keys.len() == descriptor.len()
                && shape.keys.iter().zip(descriptor).all(|(own, (key, _))| **own == **key);
            let fixed = descriptor.iter().zip(&shape.open).filter(|(_, open)| !**open);
            let values = fits.then(|| encode(fixed.map(|((_, value), _)| &**value)))?;
            shape.by_values.get(&*values).copied()
        })
    }
}

/// A limit that a call takes tokens from.
struct Matched<'a> {
    index: usize,
    descriptor: Descriptor<'a>,
    cost: u32,
}

impl Verdict {
    fn add(&mut self, taken: Result<Standing, Standing>, is_shadow: bool) {
        match taken {
            Ok(standing) => {
                let is_tighter = |known: Standing| standing.remaining() < known.remaining();
                if self.tightest.is_none_or(is_tighter) && !is_shadow {
                    self.tightest = Some(standing);
                }
            }
            Err(standing) if is_shadow => self.shadow = self.shadow.or(Some(standing)),
            Err(standing) => self.refused_by = Some(standing),
        }
    }
}

/// The shapes of these descriptors: those with fewer open entries first. Of equal descriptors the first counts.
fn shapes(descriptors: &[DescriptorLimit]) -> Box<[Shape]> {
    let mut shapes: Vec<Shape> = Vec::new();
    for (index, descriptor) in descriptors.iter().enumerate() {
        let keys: Vec<Box<str>> = descriptor.entries.iter().map(|(key, _)| (**key).into()).collect();
        let open: Vec<bool> = descriptor.entries.iter().map(|(_, value)| value.is_none()).collect();
        let values =
            encode(descriptor.entries.iter().filter_map(|(_, value)| Some(value.as_ref()?.as_bytes())));
        let position = shapes.iter().position(|shape| shape.keys == keys && shape.open == open);
        let position = position.unwrap_or_else(|| {
            shapes.push(Shape { keys, open, by_values: HashMap::new() });
            shapes.len() - 1
        });
        shapes[position].by_values.entry(values.as_slice().into()).or_insert(index);
    }
    shapes.sort_by_key(|shape| shape.open.iter().filter(|open| **open).count());
    shapes.into()
}

/// Values as one key; each with its length, so that no two lists have the same.
fn encode<'a>(values: impl Iterator<Item = &'a [u8]>) -> SmallVec<[u8; 128]> {
    let mut key = SmallVec::new();
    for value in values {
        key.extend_from_slice(&value.len().to_le_bytes());
        key.extend_from_slice(value);
    }
    key
}
