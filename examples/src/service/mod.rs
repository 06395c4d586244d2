//! The greeter: answers who it is, and misbehaves on request.

mod behavior;
mod command;
mod process;

use std::pin::Pin;
use std::time::Duration;

use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use crate::greeter::echo_server::Echo;
use crate::greeter::greeter_server::{Greeter, GreeterServer};
use crate::greeter::{HelloReply, HelloRequest, Payload};

pub use behavior::Behavior;
pub use command::GreeterCommand;
pub use process::{Listening, end_with_stdin, serve};

/// The longest stream of replies that a caller may ask for.
const MAX_REPLIES: u32 = 1_000_000;

/// One endpoint of the greeter service.
#[derive(Debug, Clone)]
pub struct GreeterService {
    name: String,
    version: String,
    delay: Duration,
}

impl GreeterService {
    /// An endpoint that says it is `name` and runs `version`.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self { name: name.into(), version: version.into(), delay: Duration::ZERO }
    }

    /// Waits this long before each answer; zero by default.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The tonic service.
    pub fn into_server(self) -> GreeterServer<Self> {
        GreeterServer::new(self)
    }

    fn reply(&self, name: &str) -> HelloReply {
        HelloReply {
            message: format!("hello {name}"),
            endpoint: self.name.clone(),
            version: self.version.clone(),
        }
    }

    async fn behave<T>(&self, request: &Request<T>) -> Result<(), Status> {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        Behavior::of(request.metadata(), &self.name)?.act().await
    }
}

type Replies = Pin<Box<dyn Stream<Item = Result<HelloReply, Status>> + Send>>;

#[tonic::async_trait]
impl Greeter for GreeterService {
    type SayHellosStream = Replies;
    type ChatStream = Replies;

    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        self.behave(&request).await?;
        Ok(Response::new(self.reply(&request.get_ref().name)))
    }

    async fn say_hellos(&self, request: Request<HelloRequest>) -> Result<Response<Replies>, Status> {
        self.behave(&request).await?;
        let request = request.into_inner();
        let reply = self.reply(&request.name);
        let count = request.count.clamp(1, MAX_REPLIES);
        Ok(Response::new(Box::pin(tokio_stream::iter((0..count).map(move |_| Ok(reply.clone()))))))
    }

    async fn gather_hellos(
        &self,
        request: Request<Streaming<HelloRequest>>,
    ) -> Result<Response<HelloReply>, Status> {
        self.behave(&request).await?;
        let mut requests = request.into_inner();
        let mut names = Vec::new();
        while let Some(request) = requests.message().await? {
            names.push(request.name);
        }
        Ok(Response::new(self.reply(&names.join(", "))))
    }

    async fn chat(&self, request: Request<Streaming<HelloRequest>>) -> Result<Response<Replies>, Status> {
        self.behave(&request).await?;
        let greeter = self.clone();
        let replies =
            request.into_inner().map(move |request| request.map(|hello| greeter.reply(&hello.name)));
        Ok(Response::new(Box::pin(replies)))
    }
}

#[tonic::async_trait]
impl Echo for GreeterService {
    async fn unary(&self, request: Request<Payload>) -> Result<Response<Payload>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}
