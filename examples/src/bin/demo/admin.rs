//! The control-server's admin API, as far as the story needs it.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use control_server::state::{PipelineState, Severity};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Asks the admin API of one control-server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admin(SocketAddr);

impl Admin {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self(address)
    }

    /// The first error of the configuration, if there is one, as the control-server prints it.
    pub(crate) async fn first_error(self) -> Result<Option<String>> {
        let state = self.state().await?;
        Ok(state.diagnostics.iter().find(|found| found.severity == Severity::Error).map(ToString::to_string))
    }

    /// How many objects the configuration has.
    pub(crate) async fn objects(self) -> Result<usize> {
        Ok(self.state().await?.objects.len())
    }

    async fn state(self) -> Result<PipelineState> {
        Ok(serde_json::from_slice(&self.get("/v1/config").await?)?)
    }

    async fn get(self, path: &str) -> Result<Bytes> {
        let stream = TcpStream::connect(self.0)
            .await
            .with_context(|| format!("connecting to the admin API at {}", self.0))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let request =
            hyper::Request::get(path).header("host", self.0.to_string()).body(Empty::<Bytes>::new())?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        connection.abort();
        if !status.is_success() {
            bail!("the admin API answers {status} to {path}");
        }
        Ok(body)
    }
}
