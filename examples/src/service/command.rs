//! The greeter's command line.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::{GreeterService, Listening, end_with_stdin, serve};

/// Serves mesh.examples.v1.Greeter and .Echo; prints its address as one line of JSON when it listens.
#[derive(Debug, Parser)]
pub struct GreeterCommand {
    /// Where to listen; port 0 takes any free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// How it names itself in replies.
    #[arg(long, default_value = "greeter")]
    name: String,
    /// Which version it says it is.
    #[arg(long, default_value = "v1")]
    version: String,
    /// How long it waits before each answer, in milliseconds.
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
    /// End when standard input is closed.
    #[arg(long)]
    end_with_stdin: bool,
}

impl GreeterCommand {
    /// Serves until SIGTERM; running calls then end and new ones are refused.
    ///
    /// # Errors
    /// When it cannot listen, or whatever ended the server before.
    pub async fn run(self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        if self.end_with_stdin {
            end_with_stdin()?;
        }
        let mut terminate = signal(SignalKind::terminate())?;
        let listener = TcpListener::bind(self.listen)
            .await
            .map_err(|error| format!("--listen {}: {error}", self.listen))?;
        let address = listener.local_addr()?;
        announce(&Listening { address })?;
        let service =
            GreeterService::new(self.name, self.version).delay(Duration::from_millis(self.delay_ms));
        let terminated = async move {
            terminate.recv().await;
        };
        Ok(serve(service, listener, terminated).await?)
    }
}

fn announce(listening: &Listening) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    serde_json::to_writer(&mut output, listening)?;
    output.write_all(b"\n")?;
    output.flush()
}
