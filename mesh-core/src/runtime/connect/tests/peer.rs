//! An endpoint of hand-made frames.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;
use crate::config::ConnectionSettings;

/// An endpoint of hand-made frames at the other end of a pipe.
pub(super) struct Peer {
    io: DuplexStream,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

impl Peer {
    /// A connection to an endpoint with these entries in its SETTINGS.
    pub(super) async fn connect(
        settings: Http2Settings,
        announced: &[(u16, u32)],
    ) -> (Established<Http2Connection>, Self) {
        Self::connect_in(settings, announced, ConnectionSettings::default()).await
    }

    /// The same to an endpoint of a cluster with these settings.
    pub(super) async fn connect_in(
        settings: Http2Settings,
        announced: &[(u16, u32)],
        cluster: ConnectionSettings,
    ) -> (Established<Http2Connection>, Self) {
        let (dial, io) = Pipe::new();
        let mut peer = Self { io };
        peer.settings(announced).await;
        let connector = Http2Connector::new(dial, settings);
        let mut target = ConnectTarget::new("10.0.0.1:1".parse().unwrap());
        target.connection = Arc::new(cluster);
        let established = connector.connect(&target).await.unwrap();
        peer.io.read_exact(&mut [0; 24]).await.unwrap();
        peer.send(SETTINGS, ACK, 0, &[]).await;
        (established, peer)
    }

    pub(super) async fn settings(&mut self, entries: &[(u16, u32)]) {
        let payload: Vec<u8> = entries
            .iter()
            .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()[..]].concat())
            .collect();
        self.send(SETTINGS, 0, 0, &payload).await;
    }

    pub(super) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.write(&bytes_of(kind, flags, stream, payload)).await;
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.unwrap();
    }

    /// Writes as much as the other end takes within this time. Returns how much that is.
    pub(super) async fn write_within(&mut self, time: Duration, bytes: &[u8]) -> usize {
        let mut written = 0;
        let writing = async {
            while written < bytes.len() {
                written += self.io.write(&bytes[written..]).await.unwrap();
            }
        };
        let _ = tokio::time::timeout(time, writing).await;
        written
    }

    /// Writes as much as the other end takes before it closes.
    pub(super) async fn write_lossy(&mut self, bytes: &[u8]) {
        let _ = self.io.write_all(bytes).await;
    }

    /// The next frame; `None` at the end of the connection.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        match self.io.read_exact(&mut head).await {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return None,
            Err(error) => panic!("{error}"),
        }
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.io.read_exact(&mut payload).await.unwrap();
        Some(Frame { kind, flags, stream: u32::from_be_bytes(stream), payload })
    }

    /// The next frame of this kind; what comes before it is passed over.
    pub(super) async fn expect(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.next().await.expect("the connection is open");
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// The streams of the HEADERS and of the RST_STREAM frames that have come by the time that nothing more does.
    pub(super) async fn drain(&mut self) -> (Vec<u32>, Vec<u32>) {
        let (mut opened, mut reset) = (Vec::new(), Vec::new());
        self.drain_frames(|frame| match frame.kind {
            HEADERS => opened.push(frame.stream),
            RST_STREAM => reset.push(frame.stream),
            _ => {}
        })
        .await;
        (opened, reset)
    }

    /// All frames that have come by the time that nothing more does.
    pub(super) async fn drain_frames(&mut self, mut on_frame: impl FnMut(&Frame)) {
        // An answer to a ping comes after everything else, once the connection's task has nothing to do.
        for _ in 0..3 {
            self.send(PING, 0, 0, &[9; 8]).await;
            loop {
                let frame = self.next().await.expect("the connection is open");
                on_frame(&frame);
                match frame.kind {
                    PING if frame.flags & ACK != 0 => break,
                    PING => self.send(PING, ACK, 0, &frame.payload).await,
                    _ => {}
                }
            }
        }
    }

    /// Lets this stream, or the connection if it is 0, send so many bytes more.
    pub(super) async fn grant(&mut self, stream: u32, bytes: usize) {
        self.send(WINDOW_UPDATE, 0, stream, &u32::try_from(bytes).unwrap().to_be_bytes()).await;
    }

    /// A whole response.
    pub(super) async fn answer(&mut self, stream: u32) {
        self.send(HEADERS, END_HEADERS | END_STREAM, stream, OK).await;
    }

    pub(super) async fn goaway(&mut self, last: u32, code: u32) {
        let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
        self.send(GOAWAY, 0, 0, &payload).await;
    }
}

/// One call that is answered by a head and nothing else.
pub(super) async fn begin(connection: &Http2Connection, peer: &mut Peer) -> (http::Response<Http2Body>, u32) {
    let call = tokio::spawn(connection.send(call("/any", body(""))));
    let stream = peer.expect(HEADERS).await.stream;
    peer.send(HEADERS, END_HEADERS, stream, OK).await;
    (call.await.unwrap().unwrap(), stream)
}

/// A call that the endpoint answers at once.
pub(super) async fn neighbour_is_served(connection: &Http2Connection, peer: &mut Peer) {
    let call = tokio::spawn(connection.send(call("/any", body(""))));
    let stream = peer.expect(HEADERS).await.stream;
    peer.answer(stream).await;
    assert_eq!(kind(call.await.unwrap()), None);
}

pub(super) fn bytes_of(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header block of `:status: 200`.
pub(super) const OK: &[u8] = &[0x88];

/// A header block with one field that is not indexed.
pub(super) fn field(name: &str, value: &str) -> Vec<u8> {
    let mut block = vec![0];
    for text in [name, value] {
        let mut left = text.len();
        if left < 127 {
            block.push(left as u8);
        } else {
            block.push(127);
            left -= 127;
            while left >= 128 {
                block.push((left % 128 + 128) as u8);
                left /= 128;
            }
            block.push(left as u8);
        }
        block.extend_from_slice(text.as_bytes());
    }
    block
}

/// The frames of a header block of any size.
pub(super) fn header_frames(flags: u8, stream: u32, block: &[u8]) -> Vec<u8> {
    let mut pieces = block.chunks(16 << 10).peekable();
    let (mut frames, mut kind, mut flags) = (Vec::new(), HEADERS, flags);
    while let Some(piece) = pieces.next() {
        let end = if pieces.peek().is_none() { END_HEADERS } else { 0 };
        frames.extend(bytes_of(kind, flags | end, stream, piece));
        (kind, flags) = (CONTINUATION, 0);
    }
    frames
}

pub(super) const MAX_CONCURRENT_STREAMS: u16 = 3;
pub(super) const MAX_HEADER_LIST_SIZE: u16 = 6;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const ACK: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const PADDED: u8 = 8;
