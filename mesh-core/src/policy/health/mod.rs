//! Active health checks of one endpoint: what its checks mean, and when the next one is due (Envoy's health checking).
//!
//! ```text
//!              first check good                  threshold of failures, or one that says "not healthy"
//!   UNKNOWN ---------------------> HEALTHY ------------------------------------------+
//!      |                              ^                                              v
//!      |                              +--------- threshold of good checks ------ UNHEALTHY
//!      +------------------------------ first check failed ----------------------------^
//! ```
//!
//! The driver makes the checks; it reports each [`CheckResult`] to the endpoint's [`Checker`], and sleeps as its [`Pause`] says.

mod checker;
mod pause;
#[cfg(test)]
mod tests;

pub(crate) use checker::{CheckResult, Checker, Health};
#[cfg(test)]
use pause::Pause;
pub(crate) use pause::{Traffic, first_pause};
