//! A locality by weight.

use std::sync::Arc;

use rand::{Rng, RngExt};

use crate::policy::lb::{Pick, PickContext, Picker};

/// Chooses a locality by weight and lets its picker choose (LB-17).
#[derive(Debug)]
pub(super) struct LocalityPicker {
    /// The end of each child's share, ascending.
    ends: Box<[u64]>,
    children: Box<[Arc<dyn Picker>]>,
}

impl LocalityPicker {
    /// A picker over these weights and children; a single child is its own picker.
    pub(super) fn over(children: Vec<(u32, Arc<dyn Picker>)>) -> Arc<dyn Picker> {
        if let [(_, only)] = &children[..] {
            return only.clone();
        }
        let mut end = 0;
        let (ends, children): (Vec<_>, Vec<_>) = children
            .into_iter()
            .map(|(weight, picker)| {
                end += u64::from(weight.max(1));
                (end, picker)
            })
            .unzip();
        Arc::new(Self { ends: ends.into(), children: children.into() })
    }
}

impl Picker for LocalityPicker {
    fn pick(&self, context: &PickContext<'_>, rng: &mut dyn Rng) -> Pick {
        let Some(total) = self.ends.last() else { return Pick::Wait(None) };
        let draw = rng.random_range(0..*total);
        self.children[self.ends.partition_point(|end| *end <= draw)].pick(context, rng)
    }
}
