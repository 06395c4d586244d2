//! Byte streams to endpoints through their HTTP proxies (gRFC A86).
// LB-79

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::dial::AnyDial;
use super::{BoxedIo, ConnectTarget};

/// A byte stream to the target, through its proxy if it has one.
pub(super) async fn open(dial: &dyn AnyDial, target: &ConnectTarget) -> io::Result<BoxedIo> {
    let Some(proxy) = target.proxy else { return dial.dial_boxed(target).await };
    let at_proxy = ConnectTarget { address: proxy, proxy: None, ..target.clone() };
    let opened = async {
        let mut stream = dial.dial_boxed(&at_proxy).await?;
        ask(&mut stream, target.address).await?;
        Ok(stream)
    };
    let opened = tokio::time::timeout(MAX_TIME, opened).await;
    let opened = opened.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")));
    opened.map_err(|error: io::Error| io::Error::new(error.kind(), format!("proxy {proxy}: {error}")))
}

/// Asks the proxy for a connection to the endpoint, and reads its answer up to the endpoint's first byte.
async fn ask(stream: &mut BoxedIo, endpoint: SocketAddr) -> io::Result<()> {
    let request = format!("CONNECT {endpoint} HTTP/1.1\r\nHost: {endpoint}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut head = Vec::with_capacity(128);
    // Byte by byte: what follows the head is the endpoint's, which may speak first.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == MAX_HEAD {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its answer has no end"));
        }
        head.push(stream.read_u8().await?);
    }
    let status_line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let status_line = String::from_utf8_lossy(status_line);
    let mut words = status_line.split(' ');
    let is_http = words.next().is_some_and(|version| version.starts_with("HTTP/1."));
    let is_success = words.next().is_some_and(|status| status.len() == 3 && status.starts_with('2'));
    match is_http && is_success {
        true => Ok(()),
        false => Err(io::Error::new(
            io::ErrorKind::ConnectionRefused,
            format!("it refuses a connection to {endpoint}: {status_line:?}"),
        )),
    }
}

/// How long a proxy may take to make a connection.
const MAX_TIME: Duration = Duration::from_secs(20);

/// Bytes of an answer's head.
const MAX_HEAD: usize = 8 << 10;
