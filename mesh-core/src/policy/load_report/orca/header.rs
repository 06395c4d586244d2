//! Where a report travels.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;
use http::header::HeaderName;

/// The trailer, or the header of a response that ends with its head, that has the report (OB-19).
pub const HEADER: HeaderName = HeaderName::from_static("endpoint-load-metrics-bin");

/// The bytes of a report, without a heap while they are few.
#[derive(Debug)]
pub struct Payload {
    near: [u8; NEAR],
    far: Vec<u8>,
    length: usize,
}

impl Payload {
    /// The report in these headers. `None`: there is none, more than one, or none that can be read.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(HEADER).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        let value = value.as_bytes();
        let mut payload = Self { near: [0; NEAR], far: Vec::new(), length: 0 };
        if base64::decoded_len_estimate(value.len()) <= NEAR {
            payload.length = BASE64.decode_slice(value, &mut payload.near).ok()?;
        } else {
            payload.far = BASE64.decode(value).ok()?;
        }
        Some(payload)
    }

    /// The message.
    pub fn as_bytes(&self) -> &[u8] {
        if self.far.is_empty() { &self.near[..self.length] } else { &self.far }
    }
}

/// gRPC pads or not, as it likes.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Enough for a dozen named metrics.
const NEAR: usize = 384;
