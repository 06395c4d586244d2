//! One port for TLS and plaintext, and ports for one of them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::rustls::{ClientConfig, version};

use crate::config::{ClientCertificates, ServerChain, ServerConfig, ServerRoutes, ServerTls};
use crate::runtime::server::{Server, ServerSettings};
use crate::runtime::tls::ApplicationProtocol;
use crate::runtime::tls::tests::{Authority, client, connect};

use super::{Running, call};

/// Writes one byte at a time, each in a segment of its own as far as the kernel lets it.
struct Dripping(TcpStream);

impl AsyncRead for Dripping {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Dripping {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, &bytes[..bytes.len().min(1)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

async fn dripping(server: &Running) -> Dripping {
    let stream = TcpStream::connect(server.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    Dripping(stream)
}

fn tls(authority: &Authority) -> Arc<ServerTls> {
    Arc::new(ServerTls::new(authority.leaf(&["server.example"]).source(), ClientCertificates::NotRequested))
}

fn any_call() -> ServerChain {
    ServerChain::new(ServerRoutes::all())
}

async fn permissive(authority: &Authority, settings: ServerSettings) -> Running {
    Running::start(ServerConfig::permissive(&any_call(), tls(authority)).unwrap(), settings).await
}

/// The client's configuration, for this version of TLS alone.
fn only(
    authority: &Authority,
    versions: &[&'static tokio_rustls::rustls::SupportedProtocolVersion],
) -> ClientConfig {
    let mut config = client(authority, None);
    let mut roots = tokio_rustls::rustls::RootCertStore::empty();
    roots.add(authority.certificate.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(config.crypto_provider().clone());
    let built = builder.with_protocol_versions(versions).unwrap().with_root_certificates(roots);
    let protocols = std::mem::take(&mut config.alpn_protocols);
    config = built.with_no_client_auth();
    config.alpn_protocols = protocols;
    config
}

/// M2: every version of TLS, and both protocols in segments of one byte.
#[tokio::test]
async fn first_bytes_decide_between_tls_and_plaintext() {
    let authority = Authority::new("root");
    let server = permissive(&authority, ServerSettings::default()).await;
    for versions in [&[&version::TLS13][..], &[&version::TLS12], &[&version::TLS13, &version::TLS12]] {
        let config = Arc::new(only(&authority, versions));
        let stream = TcpStream::connect(server.address).await.unwrap();
        let stream = connect(config.clone(), "server.example", stream).await.unwrap();
        assert_eq!(call(stream).await.unwrap(), "tls");
        let stream = connect(config, "server.example", dripping(&server).await).await.unwrap();
        assert_eq!(call(stream).await.unwrap(), "tls");
    }
    assert_eq!(call(TcpStream::connect(server.address).await.unwrap()).await.unwrap(), "plaintext");
    assert_eq!(call(dripping(&server).await).await.unwrap(), "plaintext");
}

/// M2: neither kind of port serves the other.
#[tokio::test]
async fn strict_port_serves_no_plaintext_and_plaintext_port_no_tls() {
    let authority = Authority::new("root");
    let strict = ServerConfig::of_chain(any_call().with_tls(tls(&authority))).unwrap();
    let strict = Running::start(strict, ServerSettings::default()).await;
    let stream = connect(client(&authority, None), "server.example", dripping(&strict).await).await.unwrap();
    assert_eq!(call(stream).await.unwrap(), "tls");
    call(TcpStream::connect(strict.address).await.unwrap()).await.unwrap_err();
    let mut stream = TcpStream::connect(strict.address).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut sent = Vec::new();
    let _ = stream.read_to_end(&mut sent).await;
    assert!(sent.is_empty() || sent[0] == 21, "a TLS alert and nothing else: {sent:?}");
    let plain = Running::start(ServerConfig::of_chain(any_call()).unwrap(), ServerSettings::default()).await;
    let stream = TcpStream::connect(plain.address).await.unwrap();
    connect(client(&authority, None), "server.example", stream).await.unwrap_err();
    assert_eq!(plain.handle.connections(), 0);
}

/// M1: detection has a limit of its own, holds up no other client, and closes at its end without a byte.
#[tokio::test]
async fn client_that_waits_for_the_server_is_closed_at_the_limit() {
    let authority = Authority::new("root");
    let settings = ServerSettings { handshake_timeout: Duration::from_secs(2), ..ServerSettings::default() };
    let server = permissive(&authority, settings).await;
    let mut waiting = Vec::new();
    for begin in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n", &[22], &[22, 3, 1, 2, 0]] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(begin).await.unwrap();
        waiting.push(stream);
    }
    let stream = TcpStream::connect(server.address).await.unwrap();
    let stream = connect(client(&authority, None), "server.example", stream).await.unwrap();
    assert_eq!(call(stream).await.unwrap(), "tls");
    assert_eq!(call(TcpStream::connect(server.address).await.unwrap()).await.unwrap(), "plaintext");
    for mut stream in waiting {
        assert_eq!(stream.read(&mut [0; 64]).await.unwrap_or(0), 0);
    }
}

/// M2: a ClientHello above the limit of its messages is an error with a name, and no memory is spent on it.
#[tokio::test]
async fn client_hello_beyond_all_limits_is_refused() {
    let authority = Authority::new("root");
    let server = permissive(&authority, ServerSettings::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    // records of 16 KiB of a ClientHello that states a length of 16 MiB
    let mut record = vec![22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff];
    record.resize(5 + (1 << 14), 0);
    let _ = stream.write_all(&record).await;
    let mut sent = Vec::new();
    let _ = stream.read_to_end(&mut sent).await;
    assert!(sent.is_empty() || sent[0] == 21, "an alert at the most");
    // a large one within them is served: its first record alone has 16 KiB
    let mut config = client(&authority, None);
    config.alpn_protocols.extend((0..200).map(|index| format!("{index:0100}").into_bytes()));
    let stream = TcpStream::connect(server.address).await.unwrap();
    let stream = connect(config, "server.example", stream).await.unwrap();
    assert_eq!(call(stream).await.unwrap(), "tls");
}

/// A request of HTTP/1.1; the whole response.
async fn ask<I: AsyncRead + AsyncWrite + Unpin>(mut io: I) -> String {
    io.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    _ = io.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn server_of_both_versions_speaks_the_one_that_its_client_has_chosen() {
    let authority = Authority::new("root");
    let both = [ApplicationProtocol::Http2, ApplicationProtocol::Http1];
    let config = ServerConfig::permissive(&any_call(), tls(&authority)).unwrap();
    let server = Running::with(Server::builder().protocols(both), config).await;
    let tcp = async || TcpStream::connect(server.address).await.unwrap();
    assert_eq!(call(tcp().await).await.unwrap(), "plaintext");
    assert!(ask(tcp().await).await.ends_with("\r\n\r\nplaintext"));
    let speaking = async |protocols: &[&[u8]]| {
        let mut config = client(&authority, None);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        connect(config, "server.example", tcp().await).await.unwrap()
    };
    assert_eq!(call(speaking(&[b"http/1.1", b"h2"]).await).await.unwrap(), "tls");
    for protocols in [&[&b"http/1.1"[..]][..], &[]] {
        assert!(ask(speaking(protocols).await).await.ends_with("\r\n\r\ntls"));
    }
    // what was agreed on counts
    assert_eq!(ask(speaking(&[b"h2"]).await).await, "");
    call(speaking(&[b"http/1.1"]).await).await.unwrap_err();
}

#[tokio::test]
async fn server_of_http2_alone_answers_no_other_version() {
    let authority = Authority::new("root");
    let server = permissive(&authority, ServerSettings::default()).await;
    assert_eq!(ask(TcpStream::connect(server.address).await.unwrap()).await, "");
    assert_eq!(server.handle.connections(), 0);
}
