//! The greeter's command line.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use mesh_core::Mesh;
use mesh_tonic::{MeshServer, ServingState};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tonic::service::Routes;
use xds_client::bootstrap::Bootstrap;

use crate::greeter::echo_server::EchoServer;

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
    /// A file with a bootstrap: the control plane that it names tells which connections are taken, how they are secured, and who
    /// may call. The address is printed once it has.
    #[arg(long, value_name = "FILE")]
    bootstrap: Option<PathBuf>,
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
        let terminated = async move {
            terminate.recv().await;
        };
        let service =
            GreeterService::new(self.name, self.version).delay(Duration::from_millis(self.delay_ms));
        if let Some(bootstrap) = self.bootstrap {
            return serve_as_told(service, self.listen, &bootstrap, terminated).await;
        }
        let listener = TcpListener::bind(self.listen)
            .await
            .map_err(|error| format!("--listen {}: {error}", self.listen))?;
        let address = listener.local_addr()?;
        announce(&Listening { address })?;
        Ok(serve(service, listener, terminated).await?)
    }
}

/// Serves what a control plane allows.
async fn serve_as_told(
    service: GreeterService,
    listen: SocketAddr,
    bootstrap: &Path,
    terminated: impl Future<Output = ()>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let text = std::fs::read_to_string(bootstrap)
        .map_err(|error| format!("--bootstrap {}: {error}", bootstrap.display()))?;
    let mesh = Mesh::new(xds_client::start(Bootstrap::from_json(&text)?)?);
    let (serving, mut is_serving) = watch::channel(false);
    let tell = move |state: &ServingState| {
        // no one waits any more once it has been announced
        let _told = serving.send(matches!(state, ServingState::Serving));
    };
    let server = MeshServer::builder().on_state(tell).bind(&mesh, listen).await?;
    let address = server.local_addr();
    let routes = Routes::new(service.clone().into_server()).add_service(EchoServer::new(service));
    let announced = async {
        match is_serving.wait_for(|serving| *serving).await {
            Ok(_) => announce(&Listening { address }),
            Err(_) => Ok(()),
        }
    };
    let served = server.serve_with_shutdown(routes, terminated, GRACE);
    let ((), announced) = tokio::join!(served, announced);
    Ok(announced?)
}

/// How long calls that run may take to end.
const GRACE: Duration = Duration::from_secs(5);

fn announce(listening: &Listening) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    serde_json::to_writer(&mut output, listening)?;
    output.write_all(b"\n")?;
    output.flush()
}
