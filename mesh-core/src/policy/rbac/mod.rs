//! Role-based access control: which calls a server takes, by who calls and what is called (gRFC A41).
//!
//! [`RbacRules`] are what has been configured: an action, and policies of permissions and principals. An engine is made of them
//! once per configuration; it finds the first policy, in the order of their names, that matches a call:
//!
//! ```text
//!  call ──▶ names of the client ──▶ policies that demand one of these names ──┐
//!       ──▶ path                ──▶ policies that demand this path           ─┼─▶ conditions of these policies ──▶ first match
//!                                   policies that demand neither             ─┘
//! ```
//!
//! Invariants:
//! - the engine's answer is that of a scan over all policies, whatever the rules;
//! - nothing is left out because it is not supported: what cannot be evaluated cannot be configured;
//! - a decision allocates nothing, except for headers with several values.

mod condition;
mod engine;
mod header;
mod index;
mod ip_range;
mod keys;
mod request;
mod rules;
#[cfg(test)]
mod tests;

pub use engine::{RbacEngine, RbacVerdict};
pub use header::RequestHeaderMatcher;
pub use ip_range::IpRange;
pub use request::RbacRequest;
pub use rules::{Permission, Principal, RbacAction, RbacPolicy, RbacRules};
