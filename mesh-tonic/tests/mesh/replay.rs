//! What calls keep of their requests for another attempt.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use examples::greeter::greeter_client::GreeterClient;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use mesh_core::Mesh;
use mesh_core::config::Forward;
use mesh_tonic::{MeshChannel, ReplayLimit, ReplayMemory};
use tokio::sync::{Barrier, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use crate::config::{Config, with_retries};
use crate::{Client, hello, raw};

/// The requests that an endpoint has received.
#[derive(Default)]
struct Requests {
    /// Those that have been read to their end.
    read: AtomicUsize,
}

impl Requests {
    fn read(&self) -> usize {
        self.read.load(Ordering::SeqCst)
    }
}

/// Reads requests whole, then refuses the one that is the n-th if `refuses(n)`, and answers the others. The first ones are
/// refused together.
async fn refusing(refuses: fn(usize) -> bool, together: usize) -> (SocketAddr, Arc<Requests>) {
    let requests = Arc::new(Requests::default());
    let (counts, barrier) = (requests.clone(), Arc::new(Barrier::new(together)));
    let address = raw::serve(move |request, respond| {
        let (counts, barrier) = (counts.clone(), barrier.clone());
        tokio::spawn(async move { answer(request, respond, refuses, &counts, &barrier).await });
    })
    .await;
    (address, requests)
}

async fn answer(
    request: http::Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    refuses: fn(usize) -> bool,
    requests: &Requests,
    barrier: &Barrier,
) {
    let is_chat = request.uri().path().ends_with("/Chat");
    let mut body = request.into_body();
    let mut received = 0;
    while let Some(data) = body.data().await {
        // the caller gives it up
        let Ok(data) = data else { return };
        body.flow_control().release_capacity(data.len()).unwrap();
        received += data.len();
        if is_chat && received >= LARGE {
            let head = http::Response::builder().header("content-type", "application/grpc");
            let _answer = respond.send_response(head.body(()).unwrap(), false).unwrap();
            let _ = body.data().await;
            return;
        }
    }
    let number = requests.read.fetch_add(1, Ordering::SeqCst);
    if refuses(number) {
        barrier.wait().await;
        respond.send_reset(Reason::REFUSED_STREAM);
    } else {
        raw::succeed(respond);
    }
}

/// With and without a retry policy: the request is kept in different places.
fn routes() -> [Forward; 2] {
    [Forward::to("greeter"), with_retries("greeter", 2)]
}

fn channel(address: SocketAddr, forward: &Forward, limit: ReplayLimit, memory: ReplayMemory) -> Client {
    let config = Config::default().cluster("greeter", &[address]).to(forward.clone());
    let builder = MeshChannel::builder("greeter").mesh(&Mesh::fixed(config.build()));
    GreeterClient::new(builder.replay_limit(limit).replay_memory(memory).build().unwrap())
}

async fn send(client: &mut Client, bytes: usize) -> Result<(), Code> {
    client.say_hello(hello(&"x".repeat(bytes))).await.map(drop).map_err(|status| status.code())
}

/// C5: gRPC keeps 256 KiB of a call.
///
/// Proves: RT-43, RT-45.
#[tokio::test]
async fn refused_message_is_sent_again_up_to_256_kib() {
    for forward in routes() {
        for (bytes, expected) in [(LARGE, Ok(())), (262_000, Ok(())), (263_000, Err(Code::Unavailable))] {
            let (address, requests) = refusing(|number| number == 0, 1).await;
            let mut client = channel(address, &forward, ReplayLimit::default(), ReplayMemory::default());
            assert_eq!(send(&mut client, bytes).await, expected, "{bytes} bytes");
            assert_eq!(requests.read(), 1 + usize::from(expected.is_ok()), "{bytes} bytes");
        }
    }
}

/// A stream of messages is kept as one message is.
#[tokio::test]
async fn refused_stream_of_messages_is_sent_again() {
    for forward in routes() {
        let (address, requests) = refusing(|number| number == 0, 1).await;
        let mut client = channel(address, &forward, ReplayLimit::default(), ReplayMemory::default());
        let messages = (0..40).map(|_| hello(&"x".repeat(5_000)));
        client.gather_hellos(tokio_stream::iter(messages)).await.unwrap();
        assert_eq!(requests.read(), 2);
    }
}

/// Sixteen calls of 100 kB are read, then refused: 1 MiB has room for ten.
///
/// Proves: RT-43.
#[tokio::test]
async fn calls_of_a_channel_keep_one_mebibyte_together() {
    for forward in routes() {
        let (address, requests) = refusing(|number| number < 16, 16).await;
        let client = channel(address, &forward, ReplayLimit::default(), ReplayMemory::default());
        let calls: Vec<_> = (0..16)
            .map(|_| {
                let mut client = client.clone();
                tokio::spawn(async move { send(&mut client, 100_000).await })
            })
            .collect();
        let mut repeated = 0;
        for call in calls {
            match call.await.unwrap() {
                Ok(()) => repeated += 1,
                Err(code) => assert_eq!(code, Code::Unavailable),
            }
        }
        assert_eq!((repeated, requests.read()), (10, 26));
    }
}

/// The channel has room for one call at a time, and every request is refused once.
#[tokio::test]
async fn room_is_given_back_by_calls_that_end_are_dropped_or_have_a_response() {
    for forward in routes() {
        let (address, requests) = refusing(|number| number % 2 == 0, 1).await;
        let mut client = channel(address, &forward, ReplayLimit::default(), ReplayMemory(LARGE * 3 / 2));
        for _ in 0..10 {
            send(&mut client, LARGE).await.unwrap();
        }
        assert_eq!(requests.read(), 20, "the end of a call");

        let (messages, chat) = mpsc::channel(1);
        messages.send(hello(&"x".repeat(LARGE))).await.unwrap();
        let chat = client.chat(ReceiverStream::new(chat)).await.unwrap();
        send(&mut client, LARGE).await.unwrap();
        assert_eq!(requests.read(), 22, "the response of a call that goes on");
        drop((messages, chat));

        let (messages, gathered) = mpsc::channel(1);
        messages.send(hello(&"x".repeat(LARGE))).await.unwrap();
        let mut unfinished = client.clone();
        let request = ReceiverStream::new(gathered);
        let unfinished = tokio::spawn(async move { unfinished.gather_hellos(request).await });
        // as soon as the first message is out, the channel is empty
        messages.send(hello("you")).await.unwrap();
        let permit = messages.reserve().await.unwrap();
        assert_eq!(send(&mut client, LARGE).await, Err(Code::Unavailable), "the room is taken");
        drop(permit);
        unfinished.abort();
        assert!(unfinished.await.unwrap_err().is_cancelled());
        for _ in 0..2 {
            send(&mut client, LARGE).await.unwrap();
        }
        assert_eq!(requests.read(), 26, "a call that is dropped");
    }
}

/// About the size of C5's message.
const LARGE: usize = 200_000;
