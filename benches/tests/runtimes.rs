//! What runtimes that have ended leave behind: a test of its own process, because it counts what the process holds.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use benches::allocated_bytes;
use examples::greeter::Payload;
use examples::greeter::echo_client::EchoClient;
use examples::service::{GreeterService, serve};
use mesh_core::config::MeshConfig;
use mesh_core::runtime::Mesh;
use mesh_tonic::MeshChannel;
use tokio::net::TcpListener;

#[global_allocator]
static ALLOCATOR: &benches::CountingAllocator = &benches::COUNTING_ALLOCATOR;

/// R2: one mesh, many short runtimes one after the other, each with a channel and a call.
#[test]
fn ended_runtimes_leak_no_descriptors_and_no_memory() {
    let servers = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("it is built");
    let address = servers.block_on(async {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("an answer");
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(GreeterService::new("only", "v1"), listener, std::future::pending()));
        address
    });
    let mesh = Mesh::fixed(MeshConfig::to_endpoints("echo", [address]));
    for is_threaded in [false, true] {
        // what is made once and stays
        short_lives(&mesh, is_threaded, 10);
        let (descriptors, bytes) = (settled(open_descriptors), settled(allocated_bytes));
        short_lives(&mesh, is_threaded, 100);
        eventually("the descriptors are back", || open_descriptors() <= descriptors);
        // the was 10 KiB for each
        eventually("the memory is back", || allocated_bytes() < bytes + 100 * 256);
    }
}

fn short_lives(mesh: &Mesh, is_threaded: bool, count: usize) {
    for _ in 0..count {
        let mut builder = if is_threaded {
            tokio::runtime::Builder::new_multi_thread()
        } else {
            tokio::runtime::Builder::new_current_thread()
        };
        let runtime = builder.worker_threads(1).enable_all().build().expect("it is built");
        let channel = runtime.block_on(async {
            let channel = MeshChannel::builder("echo").mesh(mesh).build().expect("it is built");
            let mut client = EchoClient::new(channel.clone());
            client.unary(Payload { body: vec![7; 32] }).await.expect("an answer");
            channel
        });
        // the channel outlives it, as a static one does
        drop(runtime);
        drop(channel);
    }
}

/// How many files and sockets this process has open.
fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("a list").count()
}

/// The least of it over a while: the server closes its ends a moment later.
fn settled(held: fn() -> usize) -> usize {
    let begin = Instant::now();
    let mut least = held();
    while begin.elapsed() < Duration::from_millis(500) {
        std::thread::sleep(Duration::from_millis(10));
        least = least.min(held());
    }
    least
}

fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if is_true() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it never came true that {what}");
}
