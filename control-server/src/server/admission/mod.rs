//! Admission: how many streams there are, and how fast new ones come.
//!
//! ```text
//! new stream ──> Gate ──Enter──> the service, until its response has ended
//!                  ├──Wait(t)──> the same, after t: the burst of a restart is stretched
//!                  └──Refuse───> a status that names the limit, after a random while
//! ```
//!
//! Streams that are open never wait: what makes a server slow for everyone is the work of many first responses at once, and
//! that is what is spread. Refusals are spread too, so that clients do not come back together.

mod body;
mod entrance;
mod gate;
mod service;
#[cfg(test)]
mod tests;

pub(super) use entrance::Entrance;
pub(super) use service::Admitted;
