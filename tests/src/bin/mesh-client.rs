//! A Rust client of the mesh as a process of its own: for what it may do to a process, and for what is around it.
//!
//! Takes its [`Settings`] as JSON in the first argument, and orders on standard input: `call` and `status`. Answers each
//! with a line of JSON. Its log goes to standard error.

use std::io::{self, BufRead};
use std::time::Duration;

use tests::client_process::{Answer, Settings, State};
use tests::mesh::MeshClient;
use xds_client::Options;
use xds_client::protocol::BackoffSettings;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_ansi(false).with_writer(io::stderr).init();
    let argument = std::env::args().nth(1).unwrap_or_default();
    let settings: Settings = serde_json::from_str(&argument)?;
    let max = Duration::from_millis(settings.max_backoff_ms);
    let options =
        Options::default().with_backoff(BackoffSettings::new(BackoffSettings::default().initial, max));
    let client = MeshClient::with(&settings.bootstrap, options);
    for order in io::stdin().lock().lines() {
        let answer = match order?.as_str() {
            "call" => serde_json::to_string(&match client.hello().await {
                Ok(reply) => Answer::Version(reply.version),
                Err(status) => Answer::Failed(status.to_string()),
            })?,
            "status" => {
                let status = client.xds.status();
                serde_json::to_string(&State { connected: status.connected, outage: status.outage })?
            }
            other => return Err(format!("unknown order {other:?}").into()),
        };
        xtask::output::line(answer);
    }
    Ok(())
}
