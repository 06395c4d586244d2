//! One endpoint of the greeter service, as a process.

use clap::Parser;
use examples::service::GreeterCommand;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    GreeterCommand::parse().run().await
}
