//! Local rate limits: [`RateLimitPolicy`] decides, this filter asks the clock, replies and counts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use http::{HeaderMap, HeaderName, HeaderValue, header, request, response};
use tokio::time::Instant;

use crate::config::Name;
use crate::counters::{Counter, RATE_LIMITED_CALLS};
use crate::policy::header_mutation;
use crate::policy::rate_limit::{
    BucketSource, CallView, DescriptorLimit, PerValue, RateLimitPolicy, RateLimiter, Standing, TokenBucket,
    Verdict,
};

use super::{
    BuildError, FilterCall, FilterConfig, FilterContext, HttpFilter, LocalReply, LocalStatus, Overrides,
    RequestAction, Stages,
};

impl FilterConfig for RateLimitPolicy {
    fn build(
        &self,
        overrides: Overrides<'_>,
        context: &FilterContext,
    ) -> Result<Option<Arc<dyn HttpFilter>>, BuildError> {
        // HF-39: the override takes the place of everything, with buckets of its own
        let policy = overrides.most_specific::<Self>()?.unwrap_or(self);
        if !policy.can_refuse() {
            return Ok(None);
        }
        let buckets = context.state(KeptBuckets::new);
        let limiter = RateLimiter::new(policy.clone(), &Place { buckets: &buckets, name: context.place() });
        let (counts, refusal) = (Counts::new(&policy.name, context), refusal_text(policy));
        Ok(Some(Arc::new(RateLimit { limiter, counts, refusal, buckets })))
    }
}

/// Lets calls pass as fast as the policy allows.
#[derive(Debug)]
struct RateLimit {
    limiter: RateLimiter,
    counts: Counts,
    /// The message of refused calls.
    refusal: Arc<str>,
    /// Keeps the clock of the buckets, and other configurations' way to them.
    buckets: Arc<KeptBuckets>,
}

#[derive(Debug)]
struct Counts {
    passed: Counter,
    refused: Counter,
    over_limit: Counter,
}

impl Counts {
    fn new(name: &Name, context: &FilterContext) -> Self {
        let counter = |outcome: &str| context.counter(&RATE_LIMITED_CALLS, [name.clone(), outcome.into()]);
        Self { passed: counter("passed"), refused: counter("refused"), over_limit: counter("over_limit") }
    }
}

impl HttpFilter for RateLimit {
    fn stages(&self) -> Stages {
        match self.limiter.policy().shows_limits {
            true => Stages::REQUEST | Stages::RESPONSE,
            false => Stages::REQUEST,
        }
    }

    fn on_request(&self, head: &mut request::Parts, call: &mut FilterCall<'_>) -> RequestAction {
        let policy = self.limiter.policy();
        // HF-38
        if !call.draw(policy.enabled) {
            return RequestAction::Continue;
        }
        let view = CallView { headers: &head.headers, cluster: call.cluster(), peer: call.peer() };
        let Verdict { refused_by, shadow, tightest } = self.limiter.check(view, self.buckets.began.elapsed());
        match refused_by {
            Some(standing) if call.draw(policy.enforced) => {
                self.counts.refused.increment();
                return RequestAction::Reply(refuse(policy, self.refusal.clone(), standing));
            }
            Some(_) => {
                self.counts.over_limit.increment();
                header_mutation::apply(&policy.request_headers_when_not_enforced, &mut head.headers);
            }
            None if shadow.is_some() => self.counts.over_limit.increment(),
            None => self.counts.passed.increment(),
        }
        // C56: the limit that would have refused, or the one that is closest to it
        if let Some(standing) = refused_by.or(tightest).filter(|_| policy.shows_limits) {
            call.state().insert(standing);
        }
        RequestAction::Continue
    }

    fn on_response(&self, head: &mut response::Parts, call: &mut FilterCall<'_>) {
        if let Some(standing) = call.state().remove::<Standing>() {
            show(standing, &mut head.headers);
        }
    }
}

fn refusal_text(policy: &RateLimitPolicy) -> Arc<str> {
    format!("rate limit {:?} exceeded", policy.name).into()
}

/// What a refused call gets.
fn refuse(policy: &RateLimitPolicy, message: Arc<str>, standing: Standing) -> LocalReply {
    let refusal = &policy.refusal;
    let status = match refusal.is_resource_exhausted {
        true => LocalStatus::Grpc(RESOURCE_EXHAUSTED),
        false => LocalStatus::Http(refusal.status),
    };
    let mut reply = LocalReply::new(status, message);
    header_mutation::apply(&refusal.headers, &mut reply.headers);
    if policy.shows_limits {
        show(standing, &mut reply.headers);
    }
    if refusal.retry_after && !reply.headers.contains_key(header::RETRY_AFTER) {
        let seconds = standing.retry_after().as_nanos().div_ceil(1_000_000_000).max(1);
        reply.headers.insert(header::RETRY_AFTER, number(u64::try_from(seconds).unwrap_or(u64::MAX)));
    }
    reply
}

/// The headers of draft-polli-ratelimit-headers-03, as Envoy has them.
fn show(standing: Standing, headers: &mut HeaderMap) {
    headers.insert(LIMIT, number(standing.max_tokens().into()));
    headers.insert(REMAINING, number(standing.remaining().into()));
    headers.insert(RESET, number(standing.full_after().as_secs_f64().ceil() as u64));
}

fn number(number: u64) -> HeaderValue {
    HeaderValue::from(number)
}

/// The buckets of one filter of one target; they survive updates as long as their place and their descriptor stay.
#[derive(Debug)]
struct KeptBuckets {
    /// The time of buckets begins here.
    began: Instant,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    single: HashMap<Key, Weak<TokenBucket>>,
    per_value: HashMap<(Key, u32), Weak<PerValue>>,
}

/// A place, and the entries of a descriptor; none for the default bucket.
type Key = (String, Option<Vec<(Name, Option<Name>)>>);

impl KeptBuckets {
    fn new() -> Self {
        Self { began: Instant::now(), kept: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The buckets of one part of the routes.
struct Place<'a> {
    buckets: &'a KeptBuckets,
    name: &'a str,
}

impl Place<'_> {
    fn key(&self, descriptor: Option<&DescriptorLimit>) -> Key {
        (self.name.to_owned(), descriptor.map(|descriptor| descriptor.entries.clone()))
    }
}

impl BucketSource for Place<'_> {
    fn bucket(&self, descriptor: Option<&DescriptorLimit>) -> Arc<TokenBucket> {
        let kept = &mut self.buckets.lock().single;
        known_or_new(kept, self.key(descriptor), TokenBucket::default)
    }

    fn per_value(&self, descriptor: &DescriptorLimit, policy: &RateLimitPolicy) -> Arc<PerValue> {
        let kept = &mut self.buckets.lock().per_value;
        let key = (self.key(Some(descriptor)), policy.max_dynamic_buckets.get());
        known_or_new(kept, key, || PerValue::new(policy))
    }
}

fn known_or_new<K: std::hash::Hash + Eq, T>(
    kept: &mut HashMap<K, Weak<T>>,
    key: K,
    new: impl FnOnce() -> T,
) -> Arc<T> {
    if let Some(known) = kept.get(&key).and_then(Weak::upgrade) {
        return known;
    }
    if kept.len() == kept.capacity() {
        kept.retain(|_, kept| kept.strong_count() > 0);
    }
    let new = Arc::new(new());
    kept.insert(key, Arc::downgrade(&new));
    new
}

const RESOURCE_EXHAUSTED: u32 = 8;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
