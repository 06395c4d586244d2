//! Key sets (JWKS, RFC 7517): the public keys of an issuer.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::algorithm::{JwtAlgorithm, KeyKind, Signatures, sequence};
use super::{JwtError, Token};

/// The public keys of an issuer.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySet(Vec<VerifyingKey>);

/// Why a text is no key set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidKeySet(String);

/// A public key.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct VerifyingKey {
    id: Option<String>,
    pub(super) kind: KeyKind,
    /// The only algorithm that it may be used for; `None`: any that fits it.
    algorithm: Option<JwtAlgorithm>,
    /// As a certificate has it: the content of `subjectPublicKey`.
    pub(super) public: Vec<u8>,
}

impl KeySet {
    /// Reads a key set. Keys that sign no token are left out: those for encryption, shared secrets, unknown kinds and curves.
    ///
    /// # Errors
    /// It is no key set, a key of a known kind is broken, or no key is left.
    // J6: an answer that is no key set never takes the place of keys
    pub fn parse(text: &[u8]) -> Result<Self, InvalidKeySet> {
        let set: Value = serde_json::from_slice(text).map_err(|error| InvalidKeySet(error.to_string()))?;
        let keys = set.get("keys").and_then(Value::as_array);
        let keys = keys.ok_or_else(|| InvalidKeySet("it has no list `keys`".to_owned()))?;
        if keys.len() > MAX_KEYS {
            return Err(InvalidKeySet(format!("it has {} keys, more than {MAX_KEYS}", keys.len())));
        }
        let mut usable = Vec::new();
        for (index, key) in keys.iter().enumerate() {
            let key = key.as_object().ok_or("is no object").and_then(VerifyingKey::read);
            usable.extend(key.map_err(|reason| InvalidKeySet(format!("keys[{index}] {reason}")))?);
        }
        match usable.is_empty() {
            true => Err(InvalidKeySet("it has no key for signatures of RSA or ECDSA".to_owned())),
            false => Ok(Self(usable)),
        }
    }

    /// Whether one of the keys has signed the token.
    ///
    /// # Errors
    /// Which part of the check has failed.
    // J5
    pub(super) fn verify(&self, token: &Token<'_>, known: &Signatures) -> Result<(), JwtError> {
        let mut is_named = false;
        for key in self.0.iter().filter(|key| key.may_have_signed(token)) {
            is_named |= token.key_id.is_some() && token.key_id == key.id;
            if token.algorithm.verifies(key, (token.signed, &token.signature), known) {
                return Ok(());
            }
        }
        // A token that names no key may be signed by one that is not known yet.
        match is_named {
            true => Err(JwtError::Signature),
            false => Err(JwtError::UnknownKey),
        }
    }
}

impl VerifyingKey {
    /// `None`: it is of no use here.
    fn read(key: &Map<String, Value>) -> Result<Option<Self>, &'static str> {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        let signs = text("use").is_none_or(|purpose| purpose == "sig");
        let verifies = |operations: &Vec<Value>| operations.iter().any(|one| one == "verify");
        let may_verify = key.get("key_ops").and_then(Value::as_array).is_none_or(verifies);
        let kind = match (text("kty").ok_or("has no type `kty`")?, text("crv")) {
            ("RSA", _) => KeyKind::Rsa,
            ("EC", Some("P-256")) => KeyKind::P256,
            ("EC", Some("P-384")) => KeyKind::P384,
            ("EC", Some("P-521")) => KeyKind::P521,
            _ => return Ok(None),
        };
        let algorithm = match text("alg").map(JwtAlgorithm::named) {
            None => None,
            Some(Some(algorithm)) if algorithm.key_kind() == kind => Some(algorithm),
            Some(_) => return Ok(None),
        };
        if !signs || !may_verify {
            return Ok(None);
        }
        let number = |name: &str| decode(text(name).unwrap_or_default());
        let public = match kind.coordinate() {
            None => {
                let (n, e) = (number("n").ok_or(NO_RSA)?, number("e").ok_or(NO_RSA)?);
                if n.len() > MAX_RSA || e.len() > MAX_RSA {
                    return Err("has a number that is too long");
                }
                sequence(&[&n, &e])
            }
            Some(length) => {
                let (x, y) = (number("x").ok_or(NO_POINT)?, number("y").ok_or(NO_POINT)?);
                if x.len() != length || y.len() != length {
                    return Err("has coordinates of another length than its curve's");
                }
                // X9.62: an uncompressed point
                [&[4], &*x, &*y].concat()
            }
        };
        let id = text("kid").map(str::to_owned);
        Ok(Some(Self { id, kind, algorithm, public }))
    }

    fn may_have_signed(&self, token: &Token<'_>) -> bool {
        let fits_name = match (&token.key_id, &self.id) {
            (Some(wanted), Some(id)) => wanted == id,
            _ => true,
        };
        fits_name
            && token.algorithm.key_kind() == self.kind
            && self.algorithm.is_none_or(|only| only == token.algorithm)
    }
}

/// A number in base64url; some issuers pad it.
fn decode(text: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
    (!bytes.is_empty()).then_some(bytes)
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| (&key.id, key.kind))).finish()
    }
}

const NO_RSA: &str = "has no numbers `n` and `e` in base64url";
const NO_POINT: &str = "has no coordinates `x` and `y` in base64url";

/// A token without a name of its key costs a check for each.
const MAX_KEYS: usize = 64;
/// 8192 bits and a leading zero.
const MAX_RSA: usize = 1025;
