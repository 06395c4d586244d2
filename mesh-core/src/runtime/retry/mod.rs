//! Retries of a call on its route's policy (gRFC A6, A44). Calls without one never come here.

mod body;
mod call;
mod hedge;
mod permit;
mod replay;
#[cfg(test)]
mod replay_tests;
mod room;

pub use body::RequestBody;
pub use room::{ReplayLimit, ReplayMemory, ReplayRoom};

pub(crate) use call::{CallRetry, RetryLimits};
pub(crate) use hedge::Hedge;
pub(crate) use permit::RetryPermit;
pub(crate) use room::ChannelReplay;
