//! The greeter as a process of its own.

use std::io::Read;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use super::GreeterService;
use crate::greeter::echo_server::EchoServer;

/// What a greeter process prints on its first line, as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Listening {
    /// Where it listens.
    pub address: SocketAddr,
}

/// Serves on a bound listener until `shutdown` completes; then running calls end and new ones are refused.
///
/// # Errors
/// Whatever ended the server before.
pub async fn serve(
    service: GreeterService,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Server::builder()
        .add_service(EchoServer::new(service.clone()))
        .add_service(service.into_server())
        .serve_with_incoming_shutdown(incoming, shutdown)
        .await
}

/// Ends this process when its standard input is closed, so that it never outlives the process that started it.
///
/// # Errors
/// When the watching thread cannot be started.
pub fn end_with_stdin() -> std::io::Result<()> {
    std::thread::Builder::new().name("stdin-watch".to_owned()).spawn(|| {
        let mut input = std::io::stdin().lock();
        let mut buffer = [0; 64];
        while matches!(input.read(&mut buffer), Ok(read) if read > 0) {}
        std::process::exit(0);
    })?;
    Ok(())
}
