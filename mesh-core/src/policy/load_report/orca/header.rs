//! The header that carries a report.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;
use http::header::HeaderName;

/// The trailer that carries the report, or the header in a response without a body (OB-19).
pub(crate) const HEADER: HeaderName = HeaderName::from_static("endpoint-load-metrics-bin");

/// The bytes of a report; a short one does not allocate.
#[derive(Debug)]
pub(crate) struct Payload {
    inline: [u8; INLINE],
    heap: Vec<u8>,
    length: usize,
}

impl Payload {
    /// The report in these headers; `None` without a report, with more than one, and if it is not base64.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(HEADER).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        let value = value.as_bytes();
        let mut payload = Self { inline: [0; INLINE], heap: Vec::new(), length: 0 };
        if base64::decoded_len_estimate(value.len()) <= INLINE {
            payload.length = BASE64.decode_slice(value, &mut payload.inline).ok()?;
        } else {
            payload.heap = BASE64.decode(value).ok()?;
        }
        Some(payload)
    }

    /// The message.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        if self.heap.is_empty() { &self.inline[..self.length] } else { &self.heap }
    }
}

/// gRPC implementations send base64 with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Enough for a dozen named metrics.
const INLINE: usize = 384;
