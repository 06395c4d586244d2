//! What must be survived, and what must be true then: the scenarios of docs/scenarios.md.
//!
//! Every test run has them in seconds. In full size, with figures:
//!
//! ```text
//! cargo test --release -p tests --features soak --test scenarios
//! ```

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod churn;
mod cold_start;
mod failover;
mod fallback;
mod invalid;
mod last_good;
mod mistakes;
mod names;
mod outage;
mod outliers;
mod overload;
mod reconnect;
mod refusal;
mod restart;
mod silence;
mod size;
mod stage;
mod stopped;
mod two_servers;
