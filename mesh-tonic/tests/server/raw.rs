//! Clients that write requests by hand.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderName, Request};
use mesh_core::policy::matcher::{HeaderMatcher, HeaderRule};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;

/// A connection of h2's.
pub(crate) struct Raw(SendRequest<Bytes>);

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (send, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        Self(send)
    }

    /// A call with one empty message; `None`: the server has reset it.
    pub(crate) async fn code(&mut self, request: Request<()>) -> Option<Code> {
        self.0 = self.0.clone().ready().await.unwrap();
        let (response, mut body) = self.0.send_request(request, false).unwrap();
        let _ = body.send_data(Bytes::from_static(&[0; 5]), true);
        status(response).await
    }

    /// A call whose requests do not end.
    pub(crate) async fn code_of_open_stream(&mut self, request: Request<()>) -> Option<Code> {
        self.0 = self.0.clone().ready().await.unwrap();
        let (response, mut body) = self.0.send_request(request, false).unwrap();
        body.send_data(Bytes::from_static(&[0; 5]), false).unwrap();
        status(response).await
    }
}

async fn status(response: h2::client::ResponseFuture) -> Option<Code> {
    let (head, mut body) = response.await.ok()?.into_parts();
    while let Some(data) = body.data().await {
        let data = data.ok()?;
        body.flow_control().release_capacity(data.len()).unwrap();
    }
    let trailers = body.trailers().await.ok()?.unwrap_or_default();
    let status = trailers.get("grpc-status").or_else(|| head.headers.get("grpc-status")).expect("a status");
    Some(Code::from_bytes(status.as_bytes()))
}

/// A request for `path`; an empty authority is not sent.
pub(crate) fn get(authority: &str, path: &str, headers: &[(&str, &str)]) -> Request<()> {
    let uri = match authority {
        "" => path.to_owned(),
        authority => format!("http://{authority}{path}"),
    };
    let mut request = Request::post(uri).header("content-type", "application/grpc").header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

/// The header of this name is there.
pub(crate) fn has_header(name: &'static str) -> HeaderMatcher {
    HeaderMatcher::new(HeaderName::from_static(name), HeaderRule::Present(true))
}

/// How a call with a path of any bytes ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The stream was reset.
    Reset,
    /// With the response's head.
    Replied,
    /// With a message of the application.
    Served,
}

/// Sends a call with this path, whose bytes no library checks.
pub(crate) async fn call_path(address: SocketAddr, path: &str) -> Ending {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let mut frame = |kind: u8, flags: u8, id: u8, payload: &[u8]| {
        bytes.extend([0, 0, u8::try_from(payload.len()).unwrap(), kind, flags, 0, 0, 0, id]);
        bytes.extend(payload);
    };
    frame(4, 0, 0, &[]);
    let mut head = Vec::new();
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "a"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    ];
    for (name, value) in fields {
        // a literal that is not indexed, without Huffman coding
        head.extend([0, u8::try_from(name.len()).unwrap()]);
        head.extend(name.as_bytes());
        head.push(u8::try_from(value.len()).unwrap());
        head.extend(value.as_bytes());
    }
    frame(1, 4, 1, &head);
    frame(0, 1, 1, &[0; 5]);
    stream.write_all(&bytes).await.unwrap();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await.unwrap();
        let is_of_call = head[8] == 1;
        match (head[3], head[4] & 1) {
            (3, _) if is_of_call => return Ending::Reset,
            (1, 1) if is_of_call => return Ending::Replied,
            (0, _) if is_of_call => return Ending::Served,
            _ => {}
        }
    }
}
