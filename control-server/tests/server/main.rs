//! The server over loopback sockets and as a process. One program: each one more would be linked with all of the server.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod admission;
mod ads;
mod answers;
mod approval;
mod csds;
mod hostile;
mod load_reports;
mod meshctl;
mod monitoring;
mod process;
mod support;
mod tls;
