//! Drop categories.

use std::sync::Arc;

use http::HeaderMap;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::config::DropCategory;
use crate::policy::lb::picker::Waiting;
use crate::policy::lb::{Connectivity, Pick, PickContext, Picker, with_drops};
use crate::policy::matcher::Fraction;

fn drops(parts: &[(&str, u32)]) -> Vec<DropCategory> {
    let category = |(name, parts): &(&str, u32)| DropCategory {
        category: (*name).into(),
        fraction: Fraction::per_million(*parts),
    };
    parts.iter().map(category).collect()
}

/// LB-22: in order, independent draws, and only when ready. That a drop ends the call is the runtime's part.
#[test]
fn categories_are_drawn_in_order_while_the_cluster_is_ready() {
    let headers = HeaderMap::new();
    let context = PickContext::new("/", &headers);
    let mut rng = StdRng::seed_from_u64(22);
    let mut count = |parts: &[(&str, u32)], state: Connectivity| {
        let picker = with_drops(&drops(parts), &state, Arc::new(Waiting));
        let mut counts = [0_u32; 3];
        for _ in 0..10_000 {
            match picker.pick(&context, &mut rng) {
                Pick::Drop(name) if &*name == "lb" => counts[0] += 1,
                Pick::Drop(name) if &*name == "throttle" => counts[1] += 1,
                Pick::Wait(None) => counts[2] += 1,
                other => panic!("{other:?}"),
            }
        }
        counts
    };
    assert_eq!(count(&[], Connectivity::Ready), [0, 0, 10_000]);
    assert_eq!(count(&[("lb", 1_000_000), ("throttle", 1_000_000)], Connectivity::Ready), [10_000, 0, 0]);
    assert_eq!(count(&[("lb", 0), ("throttle", 1_000_000)], Connectivity::Ready), [0, 10_000, 0]);
    let [lb, throttle, passed] = count(&[("lb", 500_000), ("throttle", 500_000)], Connectivity::Ready);
    assert!(lb.abs_diff(5_000) < 250 && throttle.abs_diff(2_500) < 220 && passed.abs_diff(2_500) < 220);
    for state in [Connectivity::Idle, Connectivity::Connecting, Connectivity::TransientFailure("x".into())] {
        assert_eq!(count(&[("lb", 1_000_000)], state), [0, 0, 10_000]);
    }
}

#[test]
fn picker_without_drops_is_the_picker_itself() {
    let picker: Arc<dyn Picker> = Arc::new(Waiting);
    let some = drops(&[("lb", 1)]);
    let rows = [
        (&[][..], Connectivity::Ready, true),
        (&some, Connectivity::Idle, true),
        (&some, Connectivity::Ready, false),
    ];
    for (drops, state, is_same) in rows {
        assert_eq!(Arc::ptr_eq(&with_drops(drops, &state, picker.clone()), &picker), is_same, "{state:?}");
    }
}
