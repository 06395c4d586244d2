//! Tokens on the wire.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use tonic::transport::Identity;

use crate::server_tls;
use xds_client::Options;
use xds_client::bootstrap::{CallCredentials, ChannelCredentials, ServerConfig, TlsCredentials};
use xds_client::transport::{AdsTransport, GrpcTransport, TransportError, Variant};

use crate::echo::{Echo, exchange, report};
use crate::grpc::{ANY, Killable};

/// A token whose `exp` is so many seconds ahead. `salt` makes it another.
fn token(seconds: u64, salt: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = format!(r#"{{"exp": {}, "salt": "{salt}"}}"#, now + seconds);
    format!("e30.{}.c2ln", base64url(claims.as_bytes()))
}

fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let group = |group: &[u8]| {
        let bits =
            group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        let digits = (0..=group.len()).map(move |digit| (bits >> (18 - 6 * digit) & 63) as usize);
        digits.map(|digit| char::from(DIGITS[digit])).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

/// A TLS server, and the folder with its root.
async fn secure(echo: &Echo) -> (ServerConfig, TempDir, Killable) {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root.pem");
    std::fs::write(&root, cert.pem()).unwrap();
    let identity = Identity::from_pem(cert.pem(), signing_key.serialize_pem());
    let (address, server) = echo.listen(ANY, Some(server_tls().identity(identity)), None).await;
    let credentials = TlsCredentials::default().with_ca_certificate_file(root);
    (ServerConfig::new(address.to_string(), ChannelCredentials::Tls(credentials)), folder, server)
}

fn from_files(paths: &[&Path]) -> Vec<CallCredentials> {
    paths.iter().map(|path| CallCredentials::JwtTokenFile(PathBuf::from(path))).collect()
}

/// Proves: BS-13, BS-16.
#[tokio::test]
async fn every_stream_carries_every_token() {
    let echo = Echo::default();
    let (server, folder, _server) = secure(&echo).await;
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let (first, second) = (token(1_000, "1"), token(1_000, "2"));
    std::fs::write(&one, &first).unwrap();
    std::fs::write(&two, &second).unwrap();
    let server = server.with_call_credentials(from_files(&[&one, &two]));
    let transport = GrpcTransport::new(&Options::default());
    for variant in [Variant::Sotw, Variant::Delta] {
        exchange(&transport, &server, variant).await.unwrap();
    }
    report(&transport, &server).await.unwrap();
    let calls = echo.calls();
    assert_eq!(calls.len(), 3);
    for call in calls {
        assert_eq!(call.authorization, [format!("Bearer {first}"), format!("Bearer {second}")]);
    }
}

/// Proves: BS-14.
#[tokio::test]
async fn rotated_token_is_sent_by_a_later_stream() {
    let echo = Echo::default();
    let (server, folder, _server) = secure(&echo).await;
    let path = folder.path().join("token");
    let (old, new) = (token(80, "old"), token(1_000, "new"));
    std::fs::write(&path, &old).unwrap();
    let server = server.with_call_credentials(from_files(&[&path]));
    let transport = GrpcTransport::new(&Options::default());
    exchange(&transport, &server, Variant::Sotw).await.unwrap();
    std::fs::write(&path, &new).unwrap();
    let sent = |echo: &Echo| echo.calls().last().unwrap().authorization.clone();
    assert_eq!(sent(&echo), [format!("Bearer {old}")]);
    let rotated = async {
        while sent(&echo) != [format!("Bearer {new}")] {
            exchange(&transport, &server, Variant::Sotw).await.unwrap();
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(30), rotated).await.expect("the new token is sent");
}

/// Proves: BS-16, SEC-08.
#[tokio::test]
async fn call_credentials_require_tls_and_a_token() {
    let echo = Echo::default();
    let (address, _plain) = echo.listen(ANY, None, None).await;
    let (server, folder, _server) = secure(&echo).await;
    let missing = folder.path().join("missing");
    let transport = GrpcTransport::new(&Options::default());
    let plain = ServerConfig::insecure(address.to_string());
    let rows =
        [(plain, "UNAUTHENTICATED: call_creds are never sent in plaintext"), (server, "UNAVAILABLE: ")];
    for (server, reason) in rows {
        let server = server.with_call_credentials(from_files(&[&missing]));
        let error = transport.open(&server, Variant::Sotw).await.unwrap_err();
        assert!(matches!(error, TransportError::Credentials { .. }), "{error:?}");
        assert!(error.to_string().starts_with(&format!("{}: {reason}", server.uri())), "{error}");
    }
    assert_eq!(echo.connections(), 0);
}

const VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
const INNER: &str = "XDS_CLIENT_TEST_GOOGLE";

/// Proves: BS-11.
#[test]
fn google_default_needs_a_file_and_says_how_to_name_it() {
    let test = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tokens::in_a_process_without_googles_file", "--nocapture"])
        .env(VARIABLE, "/nonexistent/key.json")
        .env(INNER, "1")
        .output()
        .unwrap();
    assert!(test.status.success(), "{}", String::from_utf8_lossy(&test.stderr));
}

/// Checks something only when the test above starts it.
#[tokio::test]
async fn in_a_process_without_googles_file() {
    if std::env::var_os(INNER).is_none() {
        return;
    }
    let server = ServerConfig::new("127.0.0.1:1", ChannelCredentials::GoogleDefault);
    let transport = GrpcTransport::new(&Options::default());
    let error = transport.open(&server, Variant::Sotw).await.unwrap_err().to_string();
    assert_eq!(
        error,
        "127.0.0.1:1: UNAVAILABLE: google_default: cannot read /nonexistent/key.json: No such file or directory (os \
         error 2); set GOOGLE_APPLICATION_CREDENTIALS to the key file of a service account"
    );
}
