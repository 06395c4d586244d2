//! Names like those that clients ask for in vain.

use std::collections::HashMap;

use crate::discovery::ClientStatus;
use crate::resources::{ResourceKind, ResourceSet};
use crate::yaml::nearest;

/// Finds names that are nearly those that do not exist. A search looks at every name, so an answer has few of them; thousands of
/// clients with the same mistake need one.
#[derive(Debug)]
pub(super) struct NearNames<'s> {
    set: &'s ResourceSet,
    found: HashMap<(ResourceKind, String), Option<String>>,
}

impl<'s> NearNames<'s> {
    pub(super) fn new(set: &'s ResourceSet) -> Self {
        Self { set, found: HashMap::new() }
    }

    /// Fills in what is near the missing names of a client.
    pub(super) fn add(&mut self, client: &mut ClientStatus) {
        for status in &mut client.types {
            let Some(kind) = ResourceKind::from_name(&status.r#type) else { continue };
            for name in &status.missing {
                if let Some(near) = self.of(kind, name) {
                    status.near.insert(name.clone(), near);
                }
            }
        }
    }

    fn of(&mut self, kind: ResourceKind, name: &str) -> Option<String> {
        // The same name, which this client may not see.
        if self.set.get(kind, name).is_some() {
            return Some(name.to_owned());
        }
        let key = (kind, name.to_owned());
        if let Some(known) = self.found.get(&key) {
            return known.clone();
        }
        if self.found.len() >= MAX_SEARCHES {
            return None;
        }
        let candidates = self.set.of_kind(kind).map(|resource| &*resource.name);
        let near = nearest(name, candidates).map(str::to_owned);
        self.found.insert(key, near.clone());
        near
    }
}

/// For one answer.
const MAX_SEARCHES: usize = 10;
