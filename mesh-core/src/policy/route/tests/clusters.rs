//! Weighted clusters.

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::config::{ClusterChoice, WeightedCluster};
use crate::policy::weighted_choice::WeightedChoice;

fn choice(weights: &[u32]) -> ClusterChoice {
    let entry = |(position, weight): (usize, &u32)| WeightedCluster::new(position.to_string(), *weight);
    ClusterChoice::weighted(weights.iter().enumerate().map(entry)).unwrap()
}

/// RT-22: shares follow weights, within five standard deviations of 100,000 draws.
#[test]
fn shares_follow_weights() {
    let seed = 22;
    let mut rng = StdRng::seed_from_u64(seed);
    for weights in [&[1][..], &[1, 1], &[20, 80], &[1, 999], &[3, 1, 4, 1, 5, 9, 2, 6], &[u32::MAX - 1, 1]] {
        let clusters = WeightedChoice::new(choice(weights).weights());
        let mut picked = vec![0_u32; weights.len()];
        for _ in 0..100_000 {
            picked[clusters.pick(&mut rng)] += 1;
        }
        let total: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
        for (weight, picked) in weights.iter().zip(picked) {
            let share = f64::from(*weight) / total;
            let deviation = (100_000.0 * share * (1.0 - share)).sqrt();
            let off = (f64::from(picked) - 100_000.0 * share).abs();
            assert!(off <= 5.0 * deviation + 1.0, "seed {seed}, {weights:?}: {picked} of {share}");
        }
    }
}

/// RDS-11: a total of zero, or one that does not fit 32 bits.
#[test]
fn impossible_weights_are_refused() {
    for weights in [&[][..], &[0, 0], &[u32::MAX, 1]] {
        let entry = |weight: &u32| WeightedCluster::new("c", *weight);
        assert!(ClusterChoice::weighted(weights.iter().map(entry)).is_err(), "{weights:?}");
    }
}

/// RDS-11: entries of weight zero are not there, and positions are those of the names that are left.
#[test]
fn weight_zero_is_never_picked() {
    let choice = choice(&[0, 1, 0, 1, 0]);
    let names: Vec<_> = choice.names().map(|name| &**name).collect();
    assert_eq!(names, ["1", "3"]);
    let clusters = WeightedChoice::new(choice.weights());
    let mut rng = StdRng::seed_from_u64(11);
    let mut picked = [0; 2];
    for _ in 0..1_000 {
        picked[clusters.pick(&mut rng)] += 1;
    }
    assert!(picked.iter().all(|count| *count > 400), "{picked:?}");
    let one = WeightedChoice::new(ClusterChoice::One("c".into()).weights());
    assert_eq!(one.pick(&mut rng), 0);
}
