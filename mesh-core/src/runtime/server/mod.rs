//! Servers: connections by filter chains, and calls by routes and filters (gRFC A36).
//!
//! ```text
//!  socket ──▶ accept ──▶ open: first bytes, filter chain, TLS, preface ──▶ connection: HTTP, age, drain
//!                │ closed at once while there is no configuration              │ each call
//!  configuration ──▶ follower ──▶ generation: chains, compiled ◀──── route, filters, deadline ──▶ application
//! ```
//!
//! A generation is one listener as it was told. Another listener is another generation: connections of the old one drain.
//! Routes that chains take by name are swapped inside a generation.
//!
//! Invariants:
//! - before its first configuration a server sends no byte;
//! - a connection keeps the chain that took it, whatever comes later;
//! - one client that is silent, slow or greedy costs the others nothing but its bounded share;
//! - no call reaches the application past the routes and filters of its connection's chain.

mod accept;
mod bind;
mod body;
mod call;
mod connection;
mod fixed;
mod follower;
mod generation;
mod head;
mod observed;
mod open;
mod replay;
mod routes;
mod service;
mod settings;
mod state;
#[cfg(test)]
mod tests;
mod token_keys;
mod transport;

pub use bind::{BindError, Server, ServerBuilder};
pub use body::ServerBody;
pub use connection::ServerConnection;
pub use fixed::FixedServer;
pub use service::{ServerFuture, ServerService};
pub use settings::{ServerHttp1Settings, ServerHttp2Settings, ServerSettings};
pub use state::{ServerHandle, ServingState};
pub use token_keys::TokenKeySettings;
