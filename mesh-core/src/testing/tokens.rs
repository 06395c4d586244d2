//! Tokens and key sets, signed for tests.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio_rustls::rustls::SignatureScheme;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::certificate::crypto;

/// Signs tokens with one of a few fixed keys.
#[derive(Debug, Clone)]
pub struct TokenIssuer {
    key_id: String,
    key: usize,
}

impl TokenIssuer {
    /// With the key at this place (0, 1 or 2), under this name.
    pub fn new(key_id: &str, key: usize) -> Self {
        assert!(key < KEYS.len());
        Self { key_id: key_id.to_owned(), key }
    }

    /// A token with these claims, which names its key.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_with(&json!({"alg": "ES256", "typ": "JWT", "kid": self.key_id}), claims)
    }

    /// A token with this header.
    pub fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(header), encode(claims));
        let crypto = crypto().expect("tests have cryptography");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.der()));
        let key = crypto.key_provider.load_private_key(key).expect("the key is fixed");
        let signer = key.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]);
        let signature = signer.and_then(|signer| signer.sign(signed.as_bytes()).ok());
        let signature = numbers(&signature.expect("the key is one of P-256"));
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The public key.
    pub fn public(&self) -> Value {
        let der = self.der();
        // the key ends with its point
        let (x, y) = der[der.len() - 64..].split_at(32);
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({"kty": "EC", "crv": "P-256", "kid": self.key_id, "use": "sig", "x": encode(x), "y": encode(y)})
    }

    /// A key set of these issuers' keys.
    pub fn key_set<'i>(issuers: impl IntoIterator<Item = &'i Self>) -> String {
        json!({"keys": issuers.into_iter().map(Self::public).collect::<Value>()}).to_string()
    }

    fn der(&self) -> Vec<u8> {
        STANDARD.decode(KEYS[self.key]).expect("the key is fixed")
    }
}

/// The two numbers of a signature in DER, each with 32 bytes.
fn numbers(der: &[u8]) -> Vec<u8> {
    let mut rest = &der[2..];
    let mut all = Vec::new();
    for _ in 0..2 {
        let length = usize::from(rest[1]);
        let (number, after) = rest[2..].split_at(length);
        let digits: &[u8] = if number.len() > 32 { &number[1..] } else { number };
        all.extend(std::iter::repeat_n(0, 32 - digits.len()));
        all.extend_from_slice(digits);
        rest = after;
    }
    all
}

/// Keys of P-256 in PKCS #8, made for these tests alone.
const KEYS: [&str; 3] = [
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgD1+fOHnhIhwKp05AtV3PWe4D6nqZcuKOA1liauSiMf2hRANCAASnP9eSybaPuPKpahDmhrCwE24+2q1qit/a/9tHjFz8iF10qpqF3owPQyRbjbo7YTzmQokJqymyjRJV5r4kU5qY",
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgve48ZZgOVwk7aR5UHGHpwqMjoBTxkL0AQEPplCF2bDWhRANCAATBtXl4Jn4QDZnHLqHaV4Q63DWuJdNJOIO5t73MmQ9V+yE8vqKjjuEQH+CT35emVmzCwa0ZxtUBO+hzMPokePVW",
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgP0+E4ZqlLhpDtGpZLTuBURzhHeBnLfirfGYfQTcFGyKhRANCAARfFqwGWS64lNrEqTf2WqykHX+nS1Q4tqjxTapSUc7NtQem+0YU9joNsuO1f4lTQUq9WaFAynANXvAK3SVqVGEe",
];
