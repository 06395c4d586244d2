//! Algorithms of signatures (RFC 7518 section 3), and their check by the process's cryptography.

use tokio_rustls::rustls::pki_types::{AlgorithmIdentifier, SignatureVerificationAlgorithm, alg_id};

use super::key_set::VerifyingKey;

/// The signatures that the process can check.
pub(crate) type Signatures = [&'static dyn SignatureVerificationAlgorithm];

/// An algorithm that a token may be signed with. All others are refused: `none`, shared secrets, and those to come.
// J3
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JwtAlgorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    Es512,
}

/// The kind of a key: each algorithm fits exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyKind {
    Rsa,
    P256,
    P384,
    P521,
}

impl JwtAlgorithm {
    /// By its name in a token's header; in exactly this spelling.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "ES512" => Self::Es512,
            _ => return None,
        })
    }

    /// The keys that it fits.
    pub(super) fn key_kind(self) -> KeyKind {
        match self {
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512 => KeyKind::Rsa,
            Self::Es256 => KeyKind::P256,
            Self::Es384 => KeyKind::P384,
            Self::Es512 => KeyKind::P521,
        }
    }

    fn signature_id(self) -> AlgorithmIdentifier {
        match self {
            Self::Rs256 => alg_id::RSA_PKCS1_SHA256,
            Self::Rs384 => alg_id::RSA_PKCS1_SHA384,
            Self::Rs512 => alg_id::RSA_PKCS1_SHA512,
            Self::Ps256 => alg_id::RSA_PSS_SHA256,
            Self::Ps384 => alg_id::RSA_PSS_SHA384,
            Self::Ps512 => alg_id::RSA_PSS_SHA512,
            Self::Es256 => alg_id::ECDSA_SHA256,
            Self::Es384 => alg_id::ECDSA_SHA384,
            Self::Es512 => alg_id::ECDSA_SHA512,
        }
    }

    /// Whether the key has made this signature of the text. A process whose cryptography lacks the algorithm says no.
    pub(super) fn verifies(
        self,
        key: &VerifyingKey,
        (text, signature): (&str, &[u8]),
        known: &Signatures,
    ) -> bool {
        if self.key_kind() != key.kind {
            return false;
        }
        let encoded;
        let signature = match key.kind.coordinate() {
            None => signature,
            // RFC 7518 section 3.4: two numbers of the curve's length, where X.509 has a sequence in DER
            Some(length) if signature.len() == 2 * length => {
                let (r, s) = signature.split_at(length);
                encoded = sequence(&[r, s]);
                &encoded
            }
            Some(_) => return false,
        };
        let fits = |algorithm: &&&dyn SignatureVerificationAlgorithm| {
            algorithm.public_key_alg_id() == key.kind.key_id()
                && algorithm.signature_alg_id() == self.signature_id()
        };
        let algorithm = known.iter().find(fits);
        algorithm.is_some_and(|algorithm| {
            algorithm.verify_signature(&key.public, text.as_bytes(), signature).is_ok()
        })
    }
}

impl KeyKind {
    fn key_id(self) -> AlgorithmIdentifier {
        match self {
            Self::Rsa => alg_id::RSA_ENCRYPTION,
            Self::P256 => alg_id::ECDSA_P256,
            Self::P384 => alg_id::ECDSA_P384,
            Self::P521 => alg_id::ECDSA_P521,
        }
    }

    /// The bytes of a coordinate; `None`: not an elliptic curve.
    pub(super) fn coordinate(self) -> Option<usize> {
        match self {
            Self::Rsa => None,
            Self::P256 => Some(32),
            Self::P384 => Some(48),
            Self::P521 => Some(66),
        }
    }
}

/// A sequence of positive integers in DER.
pub(super) fn sequence(numbers: &[&[u8]]) -> Vec<u8> {
    let mut content = Vec::new();
    for number in numbers {
        let first = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
        let digits = &number[first..];
        // a first bit of 1 would be a negative number, and no digit at all is none
        let pad = digits.first().is_none_or(|first| *first >= 0x80);
        content.push(INTEGER);
        push_length(&mut content, digits.len() + usize::from(pad));
        content.extend(pad.then_some(0));
        content.extend_from_slice(digits);
    }
    let mut all = vec![SEQUENCE];
    push_length(&mut all, content.len());
    all.append(&mut content);
    all
}

fn push_length(out: &mut Vec<u8>, length: usize) {
    let bytes = length.to_be_bytes();
    let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len() - 1);
    let digits = &bytes[first..];
    if length >= 0x80 {
        out.push(0x80 | digits.len() as u8);
    }
    out.extend_from_slice(digits);
}

const INTEGER: u8 = 2;
const SEQUENCE: u8 = 0x30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_of_integers_are_der() {
        let long = [0xff; 256];
        let rows: [(&[&[u8]], &[u8]); 4] = [
            (&[&[1], &[2]], &[0x30, 6, 2, 1, 1, 2, 1, 2]),
            (&[&[0, 0, 0x7f]], &[0x30, 3, 2, 1, 0x7f]),
            (&[&[0x80], &[0, 0]], &[0x30, 7, 2, 2, 0, 0x80, 2, 1, 0]),
            (&[&[]], &[0x30, 3, 2, 1, 0]),
        ];
        for (numbers, expected) in rows {
            assert_eq!(sequence(numbers), expected, "{numbers:?}");
        }
        assert_eq!(sequence(&[&long])[..9], [0x30, 0x82, 1, 5, 2, 0x82, 1, 1, 0]);
    }
}
