//! What a whole unary call allocates, through a generated client and over a socket.

use std::net::SocketAddr;

use benches::allocations;
use examples::greeter::Payload;
use examples::greeter::echo_client::EchoClient;
use examples::service::{GreeterService, serve};
use mesh_core::config::MeshConfig;
use mesh_core::runtime::Mesh;
use mesh_tonic::MeshChannel;
use tokio::net::TcpListener;

#[global_allocator]
static ALLOCATOR: &benches::CountingAllocator = &benches::COUNTING_ALLOCATOR;

const CALLS: u32 = 2000;

/// How often one call makes client and server together allocate.
macro_rules! allocations_per_call {
    ($channel:expr) => {{
        let mut client = EchoClient::new($channel);
        let mut before = 0;
        for call in 0..2 * CALLS {
            if call == CALLS {
                before = allocations();
            }
            client.unary(Payload { body: vec![7; 32] }).await.unwrap();
        }
        (allocations() - before) as f64 / f64::from(CALLS)
    }};
}

/// The server runs in this process and costs both the same, so the difference is the clients'. Measured alone, a call
/// through plain tonic allocates 33 times, and the mesh may do so 30 times.
#[tokio::test]
async fn mesh_call_allocates_at_most_a_third_of_a_tonic_call() {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(serve(GreeterService::new("only", "v1"), listener, std::future::pending()));
    let plain =
        tonic::transport::Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mesh = Mesh::fixed(MeshConfig::to_endpoints("echo", [address]));
    let mesh = MeshChannel::builder("echo").mesh(&mesh).build().unwrap();
    let plain = allocations_per_call!(plain);
    let mesh = allocations_per_call!(mesh);
    server.abort();
    assert!(mesh <= plain - 3.0, "{mesh} through the mesh, {plain} through plain tonic");
}
