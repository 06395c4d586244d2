//! Calls that are dropped because the control plane says so (gRFC A27).

use std::sync::Arc;

use rand::Rng;

use crate::config::DropCategory;

use super::{Connectivity, Pick, PickContext, Picker};

/// A picker that drops a share of the calls before `picker` picks.
///
/// LB-22: calls are dropped only while the cluster is ready; otherwise, and without drops, the result is `picker` itself.
pub(crate) fn with_drops(
    drops: &[DropCategory],
    state: &Connectivity,
    picker: Arc<dyn Picker>,
) -> Arc<dyn Picker> {
    match state {
        Connectivity::Ready if !drops.is_empty() => Arc::new(DropPicker { drops: drops.into(), picker }),
        _ => picker,
    }
}

#[derive(Debug)]
struct DropPicker {
    drops: Box<[DropCategory]>,
    picker: Arc<dyn Picker>,
}

impl Picker for DropPicker {
    /// LB-22: one draw per category, in order.
    fn pick(&self, context: &PickContext<'_>, rng: &mut dyn Rng) -> Pick {
        match self.drops.iter().find(|drop| drop.fraction.draw(rng)) {
            Some(drop) => Pick::Drop(drop.category.clone()),
            None => self.picker.pick(context, rng),
        }
    }
}
