//! Endpoints at work: subchannels shared by a whole mesh, and one small task per cluster.
//!
//! A cluster's task drives its [`Balancer`](crate::policy::lb::Balancer) and publishes picker and connections as
//! one [`Published`] value. The request path only reads it: one atomic load, no lock, no task in between.

mod published;
mod settings;
mod slot;

pub use published::Published;
pub use settings::{MaxConnecting, PoolSettings};
pub use slot::Slot;
