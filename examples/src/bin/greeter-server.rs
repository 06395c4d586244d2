//! One endpoint of the greeter service, as a process.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use examples::service::{GreeterService, Listening, end_with_stdin, serve};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Serves mesh.examples.v1.Greeter; prints its address as one line of JSON when it listens.
#[derive(Debug, Parser)]
struct Arguments {
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

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    if arguments.end_with_stdin {
        end_with_stdin()?;
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let listener = TcpListener::bind(arguments.listen)
        .await
        .map_err(|error| format!("--listen {}: {error}", arguments.listen))?;
    let address = listener.local_addr()?;
    let service = GreeterService::new(arguments.name, arguments.version)
        .delay(Duration::from_millis(arguments.delay_ms));
    let mut output = std::io::stdout().lock();
    writeln!(output, "{}", serde_json::to_string(&Listening { address })?)?;
    output.flush()?;
    drop(output);
    serve(service, listener, async move {
        terminate.recv().await;
    })
    .await?;
    Ok(())
}
