//! How many outliers were found, and how many of them were ejected.

use std::sync::atomic::{AtomicU64, Ordering};

use super::DetectionMethod;

/// Why an endpoint that was found to be an outlier was not ejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unenforced {
    /// Only a percentage of outliers is ejected, and this one was not among them.
    EnforcementPercentage,
    /// The maximum of ejected endpoints was reached.
    MaxEjectionOverflow,
}

impl Unenforced {
    /// Its name in metrics.
    // OB-13
    pub fn name(self) -> &'static str {
        match self {
            Self::EnforcementPercentage => "enforcement_percentage",
            Self::MaxEjectionOverflow => "max_ejection_overflow",
        }
    }
}

/// How many outliers were found and ejected since the start, in all clusters whose detectors share this. Numbers only grow,
/// except [`active`](Self::active).
#[derive(Debug, Default)]
pub struct EjectionCounts {
    active: AtomicU64,
    methods: [MethodCells; DetectionMethod::ALL.len()],
}

#[derive(Debug, Default)]
struct MethodCells {
    enforced: AtomicU64,
    by_percentage: AtomicU64,
    by_overflow: AtomicU64,
}

/// The counts of one method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MethodCounts {
    /// The method.
    pub method: DetectionMethod,
    /// Endpoints that were ejected.
    pub enforced: u64,
    /// Outliers that were not ejected because of [`Unenforced::EnforcementPercentage`].
    pub enforcement_percentage: u64,
    /// Outliers that were not ejected because of [`Unenforced::MaxEjectionOverflow`].
    pub max_ejection_overflow: u64,
}

impl MethodCounts {
    /// Counts of zero for `method`.
    pub fn new(method: DetectionMethod) -> Self {
        Self { method, enforced: 0, enforcement_percentage: 0, max_ejection_overflow: 0 }
    }
}

impl EjectionCounts {
    /// How many endpoints are ejected now.
    pub fn active(&self) -> u64 {
        self.active.load(Ordering::Relaxed)
    }

    /// The counts of every method.
    pub fn methods(&self) -> impl Iterator<Item = MethodCounts> {
        let read = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        DetectionMethod::ALL.into_iter().zip(&self.methods).map(move |(method, cells)| MethodCounts {
            method,
            enforced: read(&cells.enforced),
            enforcement_percentage: read(&cells.by_percentage),
            max_ejection_overflow: read(&cells.by_overflow),
        })
    }

    pub(super) fn change_active(&self, from: usize, to: usize) {
        if from != to {
            self.active.fetch_add((to as u64).wrapping_sub(from as u64), Ordering::Relaxed);
        }
    }

    pub(super) fn add_enforced(&self, method: DetectionMethod) {
        self.methods[method as usize].enforced.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_unenforced(&self, method: DetectionMethod, why: Unenforced) {
        let cells = &self.methods[method as usize];
        let cell = match why {
            Unenforced::EnforcementPercentage => &cells.by_percentage,
            Unenforced::MaxEjectionOverflow => &cells.by_overflow,
        };
        cell.fetch_add(1, Ordering::Relaxed);
    }
}
