//! The maximum age of a connection.

use std::time::Duration;

use rand::{Rng, RngExt as _};

/// The maximum age of connections, and the grace period after it.
#[derive(Debug, Clone, Copy)]
pub(in crate::server) struct MaxAge {
    pub(in crate::server) age: Duration,
    /// How long unanswered responses are waited for.
    pub(in crate::server) grace: Duration,
}

impl MaxAge {
    /// The age of one connection: a tenth more or less, so that connections of one moment do not end together.
    pub(super) fn of_one(self, rng: &mut impl Rng) -> Duration {
        self.age.mul_f64(rng.random_range(0.9..=1.1))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn ages_are_spread_by_a_tenth() {
        let rng = &mut StdRng::seed_from_u64(7);
        let max = MaxAge { age: Duration::from_secs(100), grace: Duration::ZERO };
        let ages: Vec<u64> = (0..1000).map(|_| max.of_one(rng).as_secs()).collect();
        assert!(ages.iter().all(|age| (90..=110).contains(age)));
        let in_decile = |decile: u64| ages.iter().filter(|age| (**age - 90) / 2 == decile).count();
        assert!((0..10).all(|decile| (60..=140).contains(&in_decile(decile))));
    }
}
