//! What tests of other crates need of this one.

pub use crate::policy::load_report::orca::OrcaReport;
