//! Admission: limits the number of streams and the rate of new ones.
//!
//! ```text
//! new stream ──> ConnectionPace ──> Lanes (per machine)
//!                  Gate ──Enter──> the service, until its response has ended
//!                  ├──Wait(t)──> the same, after t: the burst of a restart is stretched
//!                  └──Refuse───> a status that names the limit, after a random while
//! ```
//!
//! Open streams never wait: a server becomes slow for every client by the work of many first responses at once, and
//! that work is spread. Refusals are spread too, so that clients do not come back together.

mod admitter;
mod body;
mod gate;
mod lanes;
mod pace;
mod service;
#[cfg(test)]
mod tests;

pub(super) use admitter::Admitter;
pub(super) use pace::ConnectionPace;
pub(super) use service::Admitted;
