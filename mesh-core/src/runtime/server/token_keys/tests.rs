//! Fetches over real sockets: what is taken, what is refused, and when keys are fetched again.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Uri;
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use super::*;
use crate::certificate::{
    CertificateProvider, CertificateSource, Material, MaterialPublisher, Roots, crypto,
};
use crate::testing::TokenIssuer;

/// What a server of keys answers; `None`: it reads the request and says nothing.
type Answer = Arc<Mutex<Option<String>>>;

/// A server of keys on loopback, that counts what it is asked.
struct KeyServer {
    address: SocketAddr,
    answer: Answer,
    asked: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl KeyServer {
    async fn start(tls: Option<TlsAcceptor>, answer: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer: Answer = Arc::new(Mutex::new(Some(answer.to_owned())));
        let asked = Arc::new(AtomicUsize::new(0));
        let (shared, count) = (answer.clone(), asked.clone());
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (answer, count, tls) = (shared.clone(), count.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => reply(stream, &answer, &count).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => reply(stream, &answer, &count).await,
                            Err(_) => drop(count.fetch_add(1, Ordering::Relaxed)),
                        },
                    }
                });
            }
        });
        Self { address, answer, asked, task }
    }

    fn url(&self, scheme: &str, host: &str) -> Uri {
        format!("{scheme}://{host}:{}/keys?v=1", self.address.port()).parse().unwrap()
    }

    fn set(&self, answer: Option<String>) {
        *self.answer.lock().unwrap() = answer;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn reply(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &Answer, count: &AtomicUsize) {
    let (mut seen, mut buffer) = (Vec::new(), [0; 1024]);
    while !seen.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(length) => seen.extend_from_slice(&buffer[..length]),
        }
    }
    assert!(seen.starts_with(b"GET /keys?v=1 HTTP/1.1\r\n"));
    count.fetch_add(1, Ordering::Relaxed);
    let answer = answer.lock().unwrap().clone();
    match answer {
        Some(answer) => {
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
        None => std::future::pending().await,
    }
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn keys(name: &str, key: usize) -> String {
    ok(&TokenIssuer::key_set([&TokenIssuer::new(name, key)]))
}

fn local() -> TokenKeySettings {
    let loopback = IpRange::new(IpAddr::from([127, 0, 0, 0]), Some(8)).unwrap();
    TokenKeySettings { allowed_addresses: vec![loopback], ..TokenKeySettings::default() }
}

fn text(fetched: Result<KeySet, fetch::FetchError>) -> Result<(), String> {
    fetched.map(drop).map_err(|error| crate::WithCauses(&error).to_string())
}

/// A key set is fetched from no local address, whatever its name is, and no redirect is followed.
#[tokio::test]
async fn local_addresses_are_not_asked_and_redirects_are_refused() {
    let server = KeyServer::start(None, &keys("one", 0)).await;
    let strict = TokenKeySettings::default();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let refused = text(fetch::fetch(&server.url("http", host), &strict).await).unwrap_err();
        assert!(refused.contains("is local"), "{host}: {refused}");
    }
    let metadata = Uri::from_static("http://169.254.169.254/latest/meta-data");
    assert!(text(fetch::fetch(&metadata, &strict).await).unwrap_err().contains("169.254.169.254 is local"));
    assert_eq!(server.asked(), 0);
    assert_eq!(text(fetch::fetch(&server.url("http", "localhost"), &local()).await), Ok(()));
    let redirect = "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n";
    server.set(Some(redirect.to_owned()));
    let refused = text(fetch::fetch(&server.url("http", "127.0.0.1"), &local()).await);
    assert_eq!(refused, Err("the answer has the status 302 Found".to_owned()));
    let other = Uri::from_static("ftp://issuer.example/keys");
    assert!(text(fetch::fetch(&other, &local()).await).is_err());
}

#[tokio::test]
async fn answers_that_are_too_long_or_no_key_set_are_refused() {
    let server = KeyServer::start(None, "").await;
    let url = server.url("http", "127.0.0.1");
    let small = TokenKeySettings { max_size: 1000, ..local() };
    let long = "x".repeat(1001);
    let chunked = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n{long}\r\n0\r\n\r\n");
    let rows = [
        (keys("one", 0), Ok(())),
        (ok("<html>"), Err("the answer is no key set")),
        (ok("{\"keys\":[]}"), Err("the answer is no key set")),
        (ok(&long), Err("the answer is longer than 1000 bytes")),
        (chunked, Err("the answer is longer than 1000 bytes")),
        (
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
            Err("the answer has the status 404"),
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_owned(), Err("the answer is no HTTP")),
        ("no HTTP\r\n\r\n".to_owned(), Err("the answer is no HTTP")),
        (String::new(), Err("the answer is no HTTP")),
    ];
    for (answer, expected) in rows {
        server.set(Some(answer.clone()));
        let found = text(fetch::fetch(&url, &small).await);
        match expected {
            Ok(()) => assert_eq!(found, Ok(()), "{answer}"),
            Err(start) => {
                assert!(found.as_ref().is_err_and(|text| text.starts_with(start)), "{answer} {found:?}")
            }
        }
    }
}

#[derive(Debug)]
struct Trusted(Vec<u8>);

impl CertificateProvider for Trusted {
    fn run(&self, publisher: MaterialPublisher) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut material = Material::missing("only roots");
        material.roots = Roots::from_der(vec![self.0.clone()]).map(Into::into);
        publisher.publish(material);
        Box::pin(std::future::pending())
    }
}

/// The name in the URL must be in the certificate, and its issuer must be trusted.
#[tokio::test]
async fn keys_over_tls_need_a_trusted_certificate_of_the_name() {
    let issuer = CertifiedIssuer::self_signed(
        {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            params
        },
        KeyPair::generate().unwrap(),
    )
    .unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let config = ServerConfig::builder_with_provider(crypto().unwrap())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    let server = KeyServer::start(Some(TlsAcceptor::from(Arc::new(config))), &keys("one", 0)).await;
    let source = CertificateSource::new("keys", Trusted(issuer.der().to_vec()));
    let trusting = TokenKeySettings { roots: RootSource::Provider(source), ..local() };
    assert_eq!(text(fetch::fetch(&server.url("https", "localhost"), &trusting).await), Ok(()));
    let wrong_name = text(fetch::fetch(&server.url("https", "127.0.0.1"), &trusting).await);
    assert!(wrong_name.is_err_and(|text| text.contains("certificate")));
    let untrusted = text(fetch::fetch(&server.url("https", "localhost"), &local()).await);
    assert!(untrusted.is_err());
}

fn remote(server: &KeyServer) -> RemoteKeys {
    let mut keys = RemoteKeys::new(server.url("http", "127.0.0.1"));
    keys.first_retry = Duration::from_millis(1);
    keys.timeout = Duration::from_secs(60);
    keys
}

async fn until(mut condition: impl FnMut() -> bool) {
    let poll = async {
        while !condition() {
            time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(Duration::from_secs(60), poll).await.expect("it happens in time");
}

/// Row J6 of the identity cases: good keys stay, and one server of keys does not hold up another.
#[tokio::test]
async fn last_good_keys_stay_in_use_while_their_server_fails() {
    let (server, silent) = (KeyServer::start(None, "").await, KeyServer::start(None, "").await);
    silent.set(None);
    let all = TokenKeys::new(local());
    let mut place = remote(&server);
    place.cache_duration = Duration::from_millis(1);
    let stuck = all.of(&remote(&silent)).unwrap();
    let set = all.of(&place).unwrap();
    // down at the start: asked again and again, and there are no keys
    until(|| server.asked() > 2).await;
    assert!(set.current().is_none());
    server.set(Some(keys("one", 0)));
    until(|| set.current().is_some()).await;
    let good = set.current();
    server.set(Some(ok("{}")));
    let before = server.asked();
    until(|| server.asked() > before + 3).await;
    assert_eq!(set.current(), good);
    server.set(Some(keys("two", 1)));
    until(|| set.current() != good).await;
    assert!(stuck.current().is_none());
}

/// Row J5 of the identity cases: 1,000 tokens with unknown keys cause one fetch.
#[tokio::test]
async fn tokens_with_unknown_keys_share_one_fetch() {
    let server = KeyServer::start(None, &keys("one", 0)).await;
    let all = TokenKeys::new(local());
    let set = all.of(&remote(&server)).unwrap();
    // the first fetch is what they wait for
    let first: Vec<_> = (0..1000).filter_map(|_| set.on_unknown_key()).collect();
    for wait in first {
        timeout(Duration::from_secs(60), wait).await.unwrap();
    }
    assert!(set.current().is_some());
    assert_eq!(server.asked(), 1);
    // two filters for the same keys
    let again = all.of(&remote(&server)).unwrap();
    assert!(again.current().is_some());
    assert_eq!(server.asked(), 1);
}
