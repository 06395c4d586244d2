//! gRPC on a connection, as far as the mesh's own calls need it: one message out, any number in.

use std::pin::pin;

use bytes::{Buf, BufMut, BytesMut};
use http::header::{CONTENT_TYPE, HeaderValue, TE};
use http::{HeaderMap, Method, Request, StatusCode, Version};
use http_body::Body;

use crate::runtime::connect::{Connection, SendFailure};
use crate::runtime::health::OneBody;
use crate::runtime::retry::ReplayRoom;

/// How a stream of messages ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StreamEnd {
    /// The endpoint ended it with this gRPC status.
    Status(u32),
    /// The connection failed, or the endpoint did not answer in gRPC.
    Broken(String),
}

impl StreamEnd {
    /// The endpoint does not have the method.
    pub(super) fn is_unimplemented(&self) -> bool {
        *self == Self::Status(UNIMPLEMENTED)
    }
}

impl std::fmt::Display for StreamEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status(code) => write!(f, "the stream ended with gRPC status {code}"),
            Self::Broken(reason) => write!(f, "the stream broke: {reason}"),
        }
    }
}

/// Sends one message to a method of an endpoint, and gives each message of the answer to `on_message`, until the stream ends.
pub(super) async fn stream<T: Connection>(
    place: T::Place,
    authority: &str,
    method: &str,
    message: &[u8],
    mut on_message: impl FnMut(&[u8]),
) -> StreamEnd {
    let Some(request) = request(authority, method, message) else {
        return StreamEnd::Broken(format!("{authority:?} is no authority"));
    };
    let response = match T::send(place, request, ReplayRoom::default()).await {
        Ok(response) => response,
        Err(failure) => return StreamEnd::Broken(text_of(&failure)),
    };
    let (head, mut body) = response.into_parts();
    if head.status != StatusCode::OK {
        return StreamEnd::Broken(format!("HTTP status {}", head.status));
    }
    if let Some(status) = status(&head.headers) {
        return StreamEnd::Status(status);
    }
    let mut messages = Messages::default();
    while let Some(frame) = std::future::poll_fn(|cx| pin!(&mut body).poll_frame(cx)).await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => return StreamEnd::Broken(error.to_string()),
        };
        match frame.into_data() {
            Ok(data) => {
                if let Err(reason) = messages.read(&data, &mut on_message) {
                    return StreamEnd::Broken(reason.to_owned());
                }
            }
            Err(frame) => {
                if let Some(status) = frame.trailers_ref().and_then(status) {
                    return StreamEnd::Status(status);
                }
            }
        }
    }
    StreamEnd::Broken("it ended without a status".to_owned())
}

fn request(authority: &str, method: &str, message: &[u8]) -> Option<Request<OneBody>> {
    let mut framed = BytesMut::with_capacity(HEAD + message.len());
    framed.put_u8(0);
    framed.put_u32(message.len() as u32);
    framed.put_slice(message);
    let request = Request::builder()
        .method(Method::POST)
        .version(Version::HTTP_2)
        .uri(format!("http://{authority}{method}"))
        .header(CONTENT_TYPE, HeaderValue::from_static("application/grpc"))
        .header(TE, HeaderValue::from_static("trailers"));
    request.body(OneBody(Some(framed.freeze()))).ok()
}

fn status(headers: &HeaderMap) -> Option<u32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

fn text_of<B>(failure: &SendFailure<B>) -> String {
    failure.error.to_string()
}

/// Cuts a stream of bytes into messages.
#[derive(Debug, Default)]
struct Messages(BytesMut);

impl Messages {
    fn read(&mut self, data: &[u8], on_message: &mut impl FnMut(&[u8])) -> Result<(), &'static str> {
        self.0.extend_from_slice(data);
        while let Some([flag, length @ ..]) = self.0.first_chunk::<HEAD>() {
            let length = u32::from_be_bytes(*length) as usize;
            if *flag != 0 {
                return Err("a message is compressed");
            }
            if length > MAX_MESSAGE {
                return Err("a message is longer than 64 KiB");
            }
            if self.0.len() < HEAD + length {
                break;
            }
            self.0.advance(HEAD);
            on_message(&self.0.split_to(length));
        }
        Ok(())
    }
}

const HEAD: usize = 5;
/// Reports of load and of health have some hundred bytes.
const MAX_MESSAGE: usize = 64 << 10;
const UNIMPLEMENTED: u32 = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_wherever_the_bytes_are() {
        let framed = [&[0, 0, 0, 0, 3][..], b"abc", &[0, 0, 0, 0, 0], &[0, 0, 0, 0, 1], b"d"].concat();
        for size in 1..framed.len() {
            let (mut messages, mut found) = (Messages::default(), Vec::new());
            for part in framed.chunks(size) {
                messages.read(part, &mut |message| found.push(message.to_vec())).unwrap();
            }
            assert_eq!(found, [&b"abc"[..], b"", b"d"], "{size} bytes at a time");
        }
        for wrong in [[1, 0, 0, 0, 1], [0, 0, 1, 0, 1]] {
            assert!(Messages::default().read(&wrong, &mut |_| {}).is_err(), "{wrong:?}");
        }
    }
}
