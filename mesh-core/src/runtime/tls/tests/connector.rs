//! The client's side: what it sends, and which servers it refuses.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::certificate::crypto;
use crate::config::{ClientCertificates, ClientTls, PeerValidation, RootSource, ServerTls, Sni};
use crate::runtime::connect::TlsTarget;
use crate::runtime::tls::{Acceptor, AcceptorSettings, Connector, HandshakeError, HandshakeResult};

use super::client::{client, connect};
use super::{Authority, Leaf, valid};

fn trusting(authority: &Authority) -> ClientTls {
    ClientTls::new(PeerValidation::new(RootSource::Provider(authority.root_source())))
}

pub(super) fn target(tls: ClientTls, hostname: &str) -> Arc<TlsTarget> {
    let server_name = tls.sni.for_hostname(hostname).map(Into::into);
    Arc::new(TlsTarget { settings: Arc::new(tls), server_name })
}

/// The connection stays open as long as the value.
pub(super) async fn dial(
    io: tokio::io::DuplexStream,
    target: &Arc<TlsTarget>,
) -> Result<impl std::fmt::Debug, HandshakeError> {
    let address = "10.0.0.1:443".parse().unwrap();
    Connector::default().connect(io, target, address, None).await
}

/// N3 and N4: the name that the server gets.
///
/// Proves: TLS-22.
#[tokio::test]
async fn server_gets_the_endpoints_name_or_the_configured_one_or_none() {
    let authority = Authority::new("root");
    let leaf = authority.leaf(&["a.example", "b.example", "10.0.0.1"]);
    let tls = Arc::new(ServerTls::new(leaf.source(), ClientCertificates::NotRequested));
    let sni = |from_hostname, name: Option<&str>, is_validated| Sni {
        from_hostname,
        name: name.map(Into::into),
        is_validated,
    };
    let rows = [
        (sni(true, Some("b.example"), false), "a.example:443", Some("a.example")),
        (sni(true, Some("b.example"), true), "a.example.", Some("a.example")),
        (sni(true, Some("b.example"), true), "", Some("b.example")),
        (sni(false, Some("b.example."), true), "a.example", Some("b.example")),
        (sni(false, Some(""), true), "a.example", None),
        (sni(false, None, true), "a.example", None),
        (sni(true, None, true), "10.0.0.1:443", None),
        (sni(false, Some("10.0.0.1"), true), "", None),
    ];
    for (sni, hostname, expected) in rows {
        let (near, far) = duplex(1 << 16);
        let target = target(trusting(&authority).with_sni(sni.clone()), hostname);
        let acceptor = Acceptor::new(AcceptorSettings::default());
        let (dialled, accepted) = tokio::join!(dial(near, &target), acceptor.accept(far, &tls));
        dialled.unwrap();
        assert_eq!(accepted.unwrap().peer.server_name.as_deref(), expected, "{sni:?} {hostname}");
    }
    // an address that is checked is looked for among the addresses alone
    let other = target(trusting(&authority).with_sni(sni(false, Some("10.0.0.2"), true)), "");
    let (near, far) = duplex(1 << 16);
    let acceptor = Acceptor::new(AcceptorSettings::default());
    let (dialled, _) = tokio::join!(dial(near, &other), acceptor.accept(far, &tls));
    assert_eq!(dialled.unwrap_err().result(), HandshakeResult::CertificateHostnameMismatch);
}

/// N3 (c): a client that puts an address into SNI is served as one that sends none.
#[tokio::test]
async fn server_answers_a_client_that_sends_an_address_as_its_name() {
    let authority = Authority::new("root");
    let tls = Arc::new(ServerTls::new(authority.leaf(&["a"]).source(), ClientCertificates::NotRequested));
    let (near, mut wire) = duplex(1 << 16);
    let hello = tokio::spawn(connect(client(&authority, None), "ten0.a.b", near));
    let mut bytes = vec![0; 1 << 14];
    let read = wire.read(&mut bytes).await.unwrap();
    let at = bytes[..read].windows(8).position(|window| window == b"ten0.a.b").unwrap();
    bytes[at..at + 8].copy_from_slice(b"10.0.0.1");
    let (mut ours, theirs) = duplex(1 << 16);
    ours.write_all(&bytes[..read]).await.unwrap();
    let accepting =
        tokio::spawn(
            async move { drop(Acceptor::new(AcceptorSettings::default()).accept(theirs, &tls).await) },
        );
    let mut kind = [0];
    ours.read_exact(&mut kind).await.unwrap();
    assert_eq!(kind, [22], "a message of the handshake, and no alert");
    accepting.abort();
    hello.abort();
}

/// A server of rustls alone, with these application protocols.
fn bare_server(leaf: &Leaf, protocols: &[&[u8]]) -> TlsAcceptor {
    let chain = leaf.chain.iter().cloned().map(CertificateDer::from).collect();
    let mut config = ServerConfig::builder_with_provider(crypto().unwrap())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::try_from(leaf.key.clone()).unwrap())
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

/// H2, on clients: the error names ALPN.
#[tokio::test]
async fn server_without_http2_is_refused() {
    let authority = Authority::new("root");
    let target = target(trusting(&authority), "");
    for protocols in [&[][..], &[&b"http/1.1"[..]], &[b"h2c"]] {
        let (near, far) = duplex(1 << 16);
        let server = bare_server(&authority.leaf(&["a"]), protocols);
        let (dialled, _) = tokio::join!(dial(near, &target), server.accept(far));
        let error = dialled.unwrap_err();
        assert_eq!(error.result(), HandshakeResult::NoApplicationProtocol, "{error}");
        assert!(error.to_string().contains("ALPN"), "{error}");
    }
    let (near, far) = duplex(1 << 16);
    let server = bare_server(&authority.leaf(&["a"]), &[b"http/1.1", b"h2"]);
    let (dialled, _) = tokio::join!(dial(near, &target), server.accept(far));
    dialled.unwrap();
}

/// H5: the server of others that shows an expired certificate.
#[tokio::test]
async fn server_with_an_expired_certificate_is_refused_with_both_times() {
    let authority = Authority::new("root");
    let expired = authority.leaf_with(&["a"], |params| valid(params, -7200, -3600));
    let (near, far) = duplex(1 << 16);
    let server = bare_server(&expired, &[b"h2"]);
    let target = target(trusting(&authority), "");
    let (dialled, _) = tokio::join!(dial(near, &target), server.accept(far));
    let error = dialled.unwrap_err();
    assert_eq!(error.result(), HandshakeResult::CertificateExpired);
    assert_eq!(error.to_string().matches("Z").count(), 2, "{error}");
}

/// R3: an own certificate that has expired is reported, and not shown.
#[tokio::test(start_paused = true)]
async fn own_expired_certificate_is_named_and_not_shown() {
    let authority = Authority::new("root");
    let short = authority.leaf_with(&["a"], |params| valid(params, -60, 600));
    let clients = PeerValidation::new(RootSource::Provider(authority.root_source()));
    let server = ServerTls::new(authority.leaf(&["b"]).source(), ClientCertificates::Required(clients));
    let (server, target) = (Arc::new(server), target(trusting(&authority).with_identity(short.source()), ""));
    let attempt = async || {
        let (near, far) = duplex(1 << 16);
        let acceptor = Acceptor::new(AcceptorSettings::default());
        let (dialled, accepted) = tokio::join!(dial(near, &target), acceptor.accept(far, &server));
        dialled.map(|_| accepted.map(drop))
    };
    attempt().await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_secs(17 * 60)).await;
    let error = attempt().await.unwrap_err();
    assert_eq!(error.result(), HandshakeResult::CertificateExpired);
    let text = "our own certificate, from certificate provider \"identity\", expired at 2";
    assert!(error.to_string().contains(text), "{error}");
    assert!(error.to_string().contains("and now it is 2"), "{error}");
}
