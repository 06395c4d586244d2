//! Chooses one of several by weight: clusters of a route, localities of a priority.

use rand::{Rng, RngExt};

/// Weights, compiled for choosing a position by weight.
#[derive(Debug, Clone)]
pub(crate) struct WeightedChoice {
    /// The end of each position's share, ascending; empty when there is nothing to choose.
    ends: Box<[u64]>,
}

impl WeightedChoice {
    /// A choice of the positions of these weights. A weight of 0 is never chosen.
    pub(crate) fn new(weights: impl IntoIterator<Item = u32>) -> Self {
        let ends = weights.into_iter().scan(0_u64, |end, weight| {
            *end += u64::from(weight);
            Some(*end)
        });
        Self { ends: ends.collect() }
    }

    /// The position that is drawn; 0 when there is nothing to choose.
    #[inline(always)]
    pub(crate) fn pick(&self, rng: &mut dyn Rng) -> usize {
        match self.ends.last() {
            Some(total @ 1..) if self.ends.len() > 1 => {
                let draw = rng.random_range(0..*total);
                self.ends.partition_point(|end| *end <= draw)
            }
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn nothing_to_choose_takes_no_draw() {
        for weights in [&[][..], &[7], &[0], &[0, 0]] {
            let (mut rng, mut untouched) = (StdRng::seed_from_u64(22), StdRng::seed_from_u64(22));
            assert_eq!(WeightedChoice::new(weights.iter().copied()).pick(&mut rng), 0, "{weights:?}");
            assert_eq!(rng.next_u64(), untouched.next_u64(), "{weights:?}");
        }
    }

    #[test]
    fn weights_beyond_32_bits_in_total_keep_their_shares() {
        let choice = WeightedChoice::new([u32::MAX, 0, u32::MAX]);
        let mut rng = StdRng::seed_from_u64(22);
        let mut picked = [0; 3];
        for _ in 0..1_000 {
            picked[choice.pick(&mut rng)] += 1;
        }
        assert!(picked[0] > 400 && picked[1] == 0 && picked[2] > 400, "{picked:?}");
    }
}
