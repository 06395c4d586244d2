//! Draining: every stream ends, spread over a while so that the clients do not all reconnect at once.

use std::time::{Duration, Instant};

use tokio::sync::watch;

/// Tells every stream to end. Clones share their state.
#[derive(Debug, Clone)]
pub struct Drain {
    plan: watch::Sender<Option<Plan>>,
}

/// When draining began and over how long the ends are spread.
#[derive(Debug, Clone, Copy)]
struct Plan {
    began: Instant,
    spread: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self { plan: watch::Sender::new(None) }
    }
}

impl Drain {
    /// Begins: streams that are open now and later ones end within `spread` from now.
    pub fn begin(&self, spread: Duration) {
        let began = tokio::time::Instant::now().into_std();
        self.plan.send_if_modified(|plan| {
            let first = plan.is_none();
            plan.get_or_insert(Plan { began, spread });
            first
        });
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        self.plan.borrow().is_some()
    }

    /// Waits until the stream with this number has to end.
    pub(crate) async fn ended(&self, stream: u64) {
        let mut plan = self.plan.subscribe();
        let plan = match plan.wait_for(Option::is_some).await {
            Ok(plan) => *plan,
            Err(_) => None,
        };
        match plan {
            Some(plan) => {
                let end = plan.began + plan.spread.mul_f64(share(stream));
                tokio::time::sleep_until(end.into()).await;
            }
            None => std::future::pending().await,
        }
    }
}

/// A number in [0, 1): consecutive streams spread evenly however many there are (multiples of the golden ratio).
fn share(stream: u64) -> f64 {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let bits = stream.wrapping_mul(GOLDEN) >> 32;
    f64::from(u32::try_from(bits).expect("32 bits are left")) / 2f64.powi(32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_spread_evenly() {
        let mut buckets = [0; 10];
        for stream in 1..=1000 {
            buckets[(share(stream) * 10.0) as usize] += 1;
        }
        assert!(buckets.iter().all(|count| (80..=120).contains(count)), "{buckets:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn every_stream_ends_within_the_spread() {
        let drain = Drain::default();
        let waits = (1..=50).map(|stream| {
            let drain = drain.clone();
            tokio::spawn(async move { drain.ended(stream).await })
        });
        let waits: Vec<_> = waits.collect();
        assert!(!drain.has_begun());
        drain.begin(Duration::from_secs(2));
        drain.begin(Duration::from_secs(1000));
        let all = futures_util::future::join_all(waits);
        tokio::time::timeout(Duration::from_secs(2), all).await.unwrap();
    }
}
