//! Retries of a call on its route's policy (gRFC A6, A44). Calls without one never come here.

mod body;
mod call;
mod permit;
mod replay;

pub use body::RequestBody;
pub use replay::ReplayLimit;

pub(crate) use call::{CallRetry, RetryLimits};
pub(crate) use permit::RetryPermit;
