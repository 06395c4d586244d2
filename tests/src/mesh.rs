//! A Rust client of the mesh, in this process.

use examples::greeter::greeter_client::GreeterClient;
use examples::greeter::{HelloReply, HelloRequest};
use mesh_core::runtime::Mesh;
use mesh_tonic::MeshChannel;
use serde_json::Value;
use tonic::{Request, Status};
use xds_client::bootstrap::Bootstrap;
use xds_client::transport::GrpcTransport;
use xds_client::{Options, XdsClient};

use crate::{ControlServer, eventually, yaml};

/// One xDS client and the mesh that it feeds.
#[derive(Debug)]
pub struct MeshClient {
    /// For questions about what it holds.
    pub xds: XdsClient,
    /// For further channels.
    pub mesh: Mesh,
    /// The greeter.
    pub channel: MeshChannel,
}

impl MeshClient {
    /// A client of this control-server with a channel to the greeter. Connects when it is first used.
    ///
    /// # Panics
    /// When it cannot be built.
    pub fn of(control: &ControlServer) -> Self {
        Self::with(&control.bootstrap("rust-client"), Options::default())
    }

    /// The same with a mesh that draws from this seed.
    ///
    /// # Panics
    /// When it cannot be built.
    pub fn with_seed(control: &ControlServer, seed: u64) -> Self {
        let xds = start(&control.bootstrap("rust-client"), Options::default());
        let mesh = Mesh::builder(xds.clone()).seed(seed).build();
        Self::of_mesh(xds, mesh, &yaml::target())
    }

    /// The same with this bootstrap and these options.
    ///
    /// # Panics
    /// When it cannot be built.
    pub fn with(bootstrap: &Value, options: Options) -> Self {
        Self::with_target(bootstrap, options, &yaml::target())
    }

    /// The same with a channel to `target`.
    ///
    /// # Panics
    /// When it cannot be built.
    pub fn with_target(bootstrap: &Value, options: Options, target: &str) -> Self {
        let xds = start(bootstrap, options);
        let mesh = Mesh::new(xds.clone());
        Self::of_mesh(xds, mesh, target)
    }

    fn of_mesh(xds: XdsClient, mesh: Mesh, target: &str) -> Self {
        let channel = MeshChannel::builder(target).mesh(&mesh).build().expect("a channel");
        Self { xds, mesh, channel }
    }

    /// A generated client over the greeter's channel.
    pub fn greeter(&self) -> GreeterClient<MeshChannel> {
        GreeterClient::new(self.channel.clone())
    }

    /// One unary call.
    ///
    /// # Errors
    /// The call's status.
    pub async fn hello(&self) -> Result<HelloReply, Status> {
        self.hello_with(&[]).await
    }

    /// One unary call with metadata.
    ///
    /// # Errors
    /// The call's status.
    ///
    /// # Panics
    /// When the metadata is not valid.
    pub async fn hello_with(&self, metadata: &[(&'static str, &str)]) -> Result<HelloReply, Status> {
        let mut request = Request::new(HelloRequest { name: "test".to_owned(), count: 1 });
        for (key, value) in metadata {
            request.metadata_mut().append(*key, value.parse().expect("a metadata value"));
        }
        Ok(self.greeter().say_hello(request).await?.into_inner())
    }

    /// The next call is answered by this endpoint.
    ///
    /// # Panics
    /// When another one answers, or none.
    pub async fn assert_answers(&self, endpoint: &str) {
        let reply = self.hello().await;
        let reply = reply.map(|reply| reply.endpoint).map_err(|status| status.to_string());
        assert_eq!(reply, Ok(endpoint.to_owned()));
    }

    /// Calls until this endpoint answers.
    ///
    /// # Panics
    /// When it does not within [`PATIENCE`](crate::PATIENCE).
    pub async fn until_answers(&self, endpoint: &str) {
        eventually(&format!("{endpoint} answers"), async || match self.hello().await {
            Ok(reply) if reply.endpoint == endpoint => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    }
}

fn start(bootstrap: &Value, options: Options) -> XdsClient {
    let bootstrap = Bootstrap::from_json(&bootstrap.to_string()).expect("a good bootstrap");
    let transport = GrpcTransport::new(&options);
    xds_client::start_with(bootstrap, transport, options).expect("an xDS client")
}
