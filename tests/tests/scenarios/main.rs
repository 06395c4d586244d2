//! What must be survived, and what must be true then: the scenarios of docs/scenarios.md.
//!
//! Every test run has them in seconds. In full size, with figures:
//!
//! ```text
//! cargo test --release -p tests --features soak --test scenarios
//! ```

mod cold_start;
mod invalid;
mod mistakes;
mod outage;
mod reconnect;
mod refusal;
mod restart;
mod silence;
mod size;
mod stage;
