//! Clients that connect and do not speak, or speak something else.

use std::time::Duration;

use mesh_tonic::{FixedServer, ServerSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{Running, call, open_to_all};

/// H3: half of them send nothing, the others a part of the preface.
#[tokio::test]
async fn silent_clients_hold_up_none_and_are_cut_at_the_limit() {
    let mut settings = ServerSettings::default();
    settings.handshake_timeout = Duration::from_secs(2);
    let server = Running::start("a", &FixedServer::new(open_to_all()), settings).await;
    let mut silent = Vec::new();
    for index in 0..50 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        if index % 2 == 0 {
            stream.write_all(b"PRI * HTTP").await.unwrap();
        }
        silent.push(stream);
    }
    assert_eq!(call(&mut server.client()).await.unwrap(), "a");
    for mut stream in silent {
        assert_eq!(stream.read(&mut [0; 64]).await.unwrap_or(0), 0, "no byte was sent");
    }
}

/// H3: the number of pending handshakes is bounded, and silent ones give their place.
#[tokio::test]
async fn oldest_silent_client_gives_its_place_at_the_limit() {
    let mut settings = ServerSettings::default();
    settings.handshake_timeout = Duration::from_secs(600);
    settings.max_pending_handshakes = 4;
    let server = Running::start("a", &FixedServer::new(open_to_all()), settings).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    assert_eq!(call(&mut server.client()).await.unwrap(), "a");
    // all but the last few have been closed
    for mut stream in silent.drain(..15) {
        assert_eq!(stream.read(&mut [0; 64]).await.unwrap_or(0), 0);
    }
}

#[tokio::test]
async fn clients_of_other_protocols_are_closed_without_a_byte() {
    let server = Running::start("a", &FixedServer::new(open_to_all()), ServerSettings::default()).await;
    for hello in [&b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"[..], &[22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(hello).await.unwrap();
        assert_eq!(stream.read(&mut [0; 64]).await.unwrap_or(0), 0, "{hello:?}");
    }
    assert_eq!(call(&mut server.client()).await.unwrap(), "a");
}

/// M2: cut into single bytes, the preface is the same.
#[tokio::test]
async fn preface_in_single_bytes_is_understood() {
    let server = Running::start("a", &FixedServer::new(open_to_all()), ServerSettings::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0" {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], 4, "the server's settings");
}
