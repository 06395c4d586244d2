//! The messages of an ADS stream, in the two variants of the protocol.

use xds_proto::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};

use prost::Message as _;

use super::TransportError;
pub use crate::protocol::Variant;

/// A request on an ADS stream, in the stream's variant.
#[derive(Debug, Clone, PartialEq)]
pub enum AdsRequest {
    /// On a stream of [`Variant::Sotw`].
    Sotw(DiscoveryRequest),
    /// On a stream of [`Variant::Delta`].
    Delta(DeltaDiscoveryRequest),
}

impl AdsRequest {
    /// The type of the resources that it requests.
    pub fn type_url(&self) -> &str {
        match self {
            Self::Sotw(request) => &request.type_url,
            Self::Delta(request) => &request.type_url,
        }
    }

    /// The request, if it is of this variant.
    pub fn into_sotw(self) -> Option<DiscoveryRequest> {
        match self {
            Self::Sotw(request) => Some(request),
            Self::Delta(_) => None,
        }
    }

    /// The request, if it is of this variant.
    pub fn into_delta(self) -> Option<DeltaDiscoveryRequest> {
        match self {
            Self::Sotw(_) => None,
            Self::Delta(request) => Some(request),
        }
    }
}

impl From<DiscoveryRequest> for AdsRequest {
    fn from(request: DiscoveryRequest) -> Self {
        Self::Sotw(request)
    }
}

impl From<DeltaDiscoveryRequest> for AdsRequest {
    fn from(request: DeltaDiscoveryRequest) -> Self {
        Self::Delta(request)
    }
}

/// A response on an ADS stream, in the stream's variant.
#[derive(Debug, Clone, PartialEq)]
pub enum AdsResponse {
    /// On a stream of [`Variant::Sotw`].
    Sotw(DiscoveryResponse),
    /// On a stream of [`Variant::Delta`].
    Delta(DeltaDiscoveryResponse),
}

impl AdsResponse {
    /// Decodes a response, for transports that carry bytes.
    ///
    /// # Errors
    /// [`TransportError::Failed`] when the bytes are not the variant's message.
    pub fn decode(variant: Variant, bytes: &[u8]) -> Result<Self, TransportError> {
        let decoded = match variant {
            Variant::Sotw => DiscoveryResponse::decode(bytes).map(Self::Sotw),
            Variant::Delta => DeltaDiscoveryResponse::decode(bytes).map(Self::Delta),
        };
        decoded.map_err(|error| TransportError::failed(format!("not a discovery response: {error}")))
    }

    /// The type of its resources.
    pub fn type_url(&self) -> &str {
        match self {
            Self::Sotw(response) => &response.type_url,
            Self::Delta(response) => &response.type_url,
        }
    }
}

impl From<DiscoveryResponse> for AdsResponse {
    fn from(response: DiscoveryResponse) -> Self {
        Self::Sotw(response)
    }
}

impl From<DeltaDiscoveryResponse> for AdsResponse {
    fn from(response: DeltaDiscoveryResponse) -> Self {
        Self::Delta(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_decode_as_responses_of_their_variant() {
        let sotw = DiscoveryResponse { type_url: "t".to_owned(), ..DiscoveryResponse::default() };
        let delta = DeltaDiscoveryResponse { nonce: "n".to_owned(), ..DeltaDiscoveryResponse::default() };
        let decoded = AdsResponse::decode(Variant::Sotw, &sotw.encode_to_vec());
        assert_eq!(decoded, Ok(AdsResponse::Sotw(sotw)));
        let decoded = AdsResponse::decode(Variant::Delta, &delta.encode_to_vec());
        assert_eq!(decoded, Ok(AdsResponse::Delta(delta)));
        let error = AdsResponse::decode(Variant::Delta, b"\xff").unwrap_err();
        assert!(error.to_string().starts_with("not a discovery response: "), "{error}");
    }
}
