use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::*;

/// A server that sends back what it gets.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                drop(tokio::io::copy(&mut from, &mut to).await);
            });
        }
    });
    address
}

async fn ask(stream: &mut TcpStream) -> std::io::Result<u8> {
    stream.write_all(b"?").await?;
    stream.read_u8().await
}

/// How long nothing must happen.
const WHILE: Duration = Duration::from_millis(100);

#[tokio::test]
async fn bytes_and_ends_arrive() {
    let relay = Relay::start(echo().await).await;
    let mut stream = TcpStream::connect(relay.address).await.unwrap();
    assert_eq!(ask(&mut stream).await.unwrap(), b'?');
    stream.shutdown().await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(relay.arrivals().len(), 1);
}

#[tokio::test]
async fn silent_network_keeps_what_was_sent_until_it_is_open_again() {
    let mut relay = Relay::start(echo().await).await;
    let mut before = TcpStream::connect(relay.address).await.unwrap();
    ask(&mut before).await.unwrap();
    relay.set(Condition::Silent).await;
    let mut during = TcpStream::connect(relay.address).await.unwrap();
    assert!(timeout(WHILE, ask(&mut before)).await.is_err());
    assert!(timeout(WHILE, ask(&mut during)).await.is_err());
    relay.open().await;
    assert_eq!(before.read_u8().await.unwrap(), b'?');
    assert_eq!(during.read_u8().await.unwrap(), b'?');
}

#[tokio::test]
async fn connections_are_reset_and_refused() {
    let mut relay = Relay::start(echo().await).await;
    let mut stream = TcpStream::connect(relay.address).await.unwrap();
    ask(&mut stream).await.unwrap();
    relay.set(Condition::Reset).await;
    assert_eq!(stream.read_u8().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let mut stream = TcpStream::connect(relay.address).await.unwrap();
    assert!(ask(&mut stream).await.is_err());
    assert_eq!(relay.arrivals_since(Instant::now()), 0);
    relay.set(Condition::Refusing).await;
    let refused = TcpStream::connect(relay.address).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    relay.open().await;
    ask(&mut TcpStream::connect(relay.address).await.unwrap()).await.unwrap();
}

#[tokio::test]
async fn slow_network_delays_both_ways() {
    let mut relay = Relay::start(echo().await).await;
    relay.set(Condition::Open(WHILE)).await;
    let mut stream = TcpStream::connect(relay.address).await.unwrap();
    let began = Instant::now();
    ask(&mut stream).await.unwrap();
    assert!(began.elapsed() >= 2 * WHILE);
}

#[tokio::test]
async fn connection_is_reset_without_target() {
    let relay = Relay::start(reserved_address()).await;
    let mut stream = TcpStream::connect(relay.address).await.unwrap();
    assert!(ask(&mut stream).await.is_err());
}
