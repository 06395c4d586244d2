//! Our client and our control-server together. One program: each one more would be linked with all of both.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod access_log;
mod asked_and_audited;
mod call_metrics;
mod client_metrics;
mod client_status;
mod configuration;
mod destination_rules;
mod embedded;
mod embedded_servers;
mod failures;
mod faults;
mod filters;
mod headers;
mod incremental;
mod load_reports;
mod logs;
mod meter;
mod rate_limits;
mod readme;
mod ring_service;
mod routing;
mod scale;
mod server_metrics;
mod sessions;
mod spans;
mod traffic_policies;
