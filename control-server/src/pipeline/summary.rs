//! What a change of the sources was, for the log: some of the objects by name and place, and how many more.

use std::fmt;

use crate::resources::Table;
use crate::source::{Change, Sourced};

/// The objects of one change.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) added: Objects,
    pub(super) changed: Objects,
    pub(super) removed: Objects,
}

/// Some of the objects, and how many there are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Objects {
    names: Vec<String>,
    pub(super) count: usize,
}

impl Summary {
    /// Of changes that are about to be made to `objects`.
    pub(super) fn of(changes: &[Change], objects: &Table<Sourced>) -> Self {
        let mut summary = Self::default();
        for change in changes {
            let before = objects.get(&change.id().to_string());
            match change {
                Change::Upsert(one) if before.is_none() => summary.added.add(|| named(one)),
                Change::Upsert(one) => summary.changed.add(|| named(one)),
                // Nothing that clients see.
                Change::Moved(_) => {}
                Change::Refused(_) | Change::Delete(_) => {
                    if let Some(before) = before {
                        summary.removed.add(|| named(before));
                    }
                }
            }
        }
        summary
    }
}

impl Objects {
    fn add(&mut self, name: impl FnOnce() -> String) {
        self.count += 1;
        if self.names.len() < MOST_NAMES {
            self.names.push(name());
        }
    }

    /// `None` without any.
    pub(super) fn told(&self) -> Option<&Self> {
        (self.count > 0).then_some(self)
    }
}

impl fmt::Display for Objects {
    /// `Service shop/orders (a.yaml:1), Service shop/carts (b.yaml:3) and 8 more`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names.join(", "))?;
        match self.count - self.names.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

fn named(one: &Sourced) -> String {
    let status = one.object.status(one.stale);
    let remembered = if one.stale { ", the last good version" } else { "" };
    format!("{} ({}:{}{remembered})", one.object.id, status.file, status.line)
}

/// Of each kind of change.
const MOST_NAMES: usize = 5;
