//! The management plane of the mesh: configuration kinds in, xDS out, one per cluster.
//!
//! ```text
//! source -> typed objects (kinds) -> model -> translate -> resources -> discovery (ADS)
//!                     `-- diagnostics --> admin
//! ```

pub mod admin;
mod authz;
mod bucket;
mod causes;
pub mod cli;
mod clock;
pub mod connection;
pub mod discovery;
mod duration;
pub mod embedded;
mod finding;
mod kinds;
pub mod load_reports;
pub mod metrics;
mod model;
mod parallel;
pub mod pipeline;
pub mod places;
pub mod resources;
pub mod server;
mod source;
pub mod state;
mod text;
mod translate;
mod yaml;
