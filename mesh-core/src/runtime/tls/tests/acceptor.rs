//! The server's side: who is accepted, and what it learns.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio_rustls::rustls::ClientConfig;

use crate::certificate::CertificateSource;
use crate::config::{ClientCertificates, PeerValidation, RootSource, ServerTls};
use crate::counters::CounterStore;
use crate::runtime::tls::{
    Accepted, Acceptor, AcceptorSettings, ApplicationProtocol, HandshakeError, HandshakeResult,
};

use super::client::{client, connect};
use super::{Authority, Leaf, valid};

fn trusted(authority: &Authority) -> PeerValidation {
    PeerValidation::new(RootSource::Provider(authority.root_source()))
}

fn server(authority: &Authority, clients: ClientCertificates) -> Arc<ServerTls> {
    Arc::new(ServerTls::new(authority.leaf(&["server.example"]).source(), clients))
}

/// One handshake; the client then reads until its end, so that it sees an alert.
async fn handshake(
    tls: &Arc<ServerTls>,
    config: impl Into<Arc<ClientConfig>>,
) -> (Result<Accepted<tokio::io::DuplexStream>, HandshakeError>, Result<Vec<u8>, String>) {
    let (near, far) = duplex(1 << 16);
    let config = config.into();
    let client = tokio::spawn(async move {
        let mut stream = connect(config, "server.example", near).await?;
        let mut read = vec![0; 5];
        stream.read_exact(&mut read).await?;
        Ok::<_, std::io::Error>(read)
    });
    let mut accepted = Acceptor::new(AcceptorSettings::default()).accept(far, tls).await;
    if let Ok(accepted) = &mut accepted {
        accepted.stream.write_all(b"hello").await.unwrap();
        accepted.stream.flush().await.unwrap();
    }
    let read = client.await.unwrap().map_err(|error| error.to_string());
    (accepted, read)
}

#[tokio::test]
async fn client_with_certificate_is_accepted_with_its_names() {
    let authority = Authority::new("root");
    let tls = server(&authority, ClientCertificates::Required(trusted(&authority)));
    let leaf = authority.leaf(&["spiffe://td/ns/shop/sa/cart", "cart.example"]);
    let (accepted, read) = handshake(&tls, client(&authority, Some(&leaf))).await;
    let accepted = accepted.unwrap();
    assert_eq!(read.unwrap(), b"hello");
    assert_eq!(accepted.protocol, ApplicationProtocol::Http2);
    assert_eq!(accepted.peer.server_name.as_deref(), Some("server.example"));
    let identity = accepted.peer.identity.unwrap();
    assert_eq!(identity.uri_sans, ["spiffe://td/ns/shop/sa/cart"]);
    assert_eq!(identity.dns_sans, ["cart.example"]);
    assert_eq!(identity.spiffe_id.as_deref(), Some("spiffe://td/ns/shop/sa/cart"));
    assert_eq!(identity.subject, "CN=leaf");
}

/// Proves: TLS-14.
#[tokio::test]
async fn client_without_certificate_is_accepted_only_where_it_may_be() {
    let authority = Authority::new("root");
    for clients in [ClientCertificates::NotRequested, ClientCertificates::Optional(trusted(&authority))] {
        let (accepted, read) = handshake(&server(&authority, clients), client(&authority, None)).await;
        assert_eq!(accepted.unwrap().peer.identity, None);
        assert_eq!(read.unwrap(), b"hello");
    }
    let required = server(&authority, ClientCertificates::Required(trusted(&authority)));
    let (accepted, read) = handshake(&required, client(&authority, None)).await;
    let error = accepted.unwrap_err();
    assert_eq!(error.result(), HandshakeResult::CertificateVerificationFailed);
    assert!(error.to_string().contains("the client has shown no certificate"), "{error}");
    let alert = read.unwrap_err();
    assert!(alert.contains("CertificateRequired"), "{alert}");
}

/// A certificate that is shown where none is needed must be valid all the same.
#[tokio::test]
async fn client_with_unacceptable_certificate_is_refused_with_the_cause() {
    let (authority, other) = (Authority::new("root"), Authority::new("root"));
    let expired = |params: &mut _| valid(params, -7200, -3600);
    let early = |params: &mut _| valid(params, 3600, 7200);
    let rows: [(Leaf, _, &str, &str); 3] = [
        (other.leaf(&["a"]), HandshakeResult::CertificateAuthorityInvalid, "trusted root", "UnknownCA"),
        (
            authority.leaf_with(&["a"], expired),
            HandshakeResult::CertificateExpired,
            "expired at 2",
            "CertificateExpired",
        ),
        (
            authority.leaf_with(&["a"], early),
            HandshakeResult::CertificateNotYetValid,
            "is not valid before 2",
            "CertificateExpired",
        ),
    ];
    for (leaf, result, text, alert) in rows {
        for clients in [
            ClientCertificates::Optional(trusted(&authority)),
            ClientCertificates::Required(trusted(&authority)),
        ] {
            let (accepted, read) =
                handshake(&server(&authority, clients), client(&authority, Some(&leaf))).await;
            let error = accepted.unwrap_err();
            assert_eq!(error.result(), result);
            assert!(error.to_string().contains(text), "{error}");
            let seen = read.unwrap_err();
            assert!(seen.contains(alert), "{seen}");
        }
    }
}

#[tokio::test]
async fn server_without_material_refuses_and_names_the_provider() {
    let authority = Authority::new("root");
    let missing = || CertificateSource::missing("files", "cannot read /tls.crt");
    let no_identity = ServerTls::new(missing(), ClientCertificates::NotRequested);
    let no_roots = PeerValidation::new(RootSource::Provider(missing()));
    let no_roots = server(&authority, ClientCertificates::Required(no_roots));
    for (tls, part) in [(Arc::new(no_identity), "identity"), (no_roots, "roots")] {
        let (accepted, read) = handshake(&tls, client(&authority, None)).await;
        let text = accepted.unwrap_err().to_string();
        let expected = format!("no {part} from certificate provider \"files\": cannot read /tls.crt");
        assert!(text.contains(&expected), "{text}");
        assert!(read.is_err());
    }
}

/// H5: silence until the limit.
#[tokio::test(start_paused = true)]
async fn silent_client_is_cut_at_the_limit() {
    let authority = Authority::new("root");
    let (_near, far) = duplex(1 << 16);
    let settings = AcceptorSettings { handshake_timeout: Duration::from_secs(3), ..Default::default() };
    let start = tokio::time::Instant::now();
    let tls = server(&authority, ClientCertificates::NotRequested);
    let error = Acceptor::new(settings).accept(far, &tls).await.unwrap_err();
    assert_eq!(error.result(), HandshakeResult::HandshakeTimeout);
    assert_eq!(start.elapsed(), Duration::from_secs(3));
}

/// H5: one handshake is counted each.
#[tokio::test]
async fn each_handshake_is_counted_once_under_its_result() {
    let (authority, store) = (Authority::new("root"), Arc::<CounterStore>::default());
    let acceptor = Acceptor::new(AcceptorSettings::default());
    acceptor.count_in(&store);
    let tls = server(&authority, ClientCertificates::Required(trusted(&authority)));
    let mut expected = Vec::new();
    let (good, stranger) = (authority.leaf(&["a"]), Authority::new("root").leaf(&["a"]));
    for (leaf, result) in [
        (Some(&stranger), "CERTIFICATE_AUTHORITY_INVALID"),
        (None, "CERTIFICATE_VERIFICATION_FAILED"),
        (Some(&good), "SUCCESS"),
    ] {
        let (near, far) = duplex(1 << 16);
        let client = tokio::spawn(connect(client(&authority, leaf), "server.example", near));
        assert_eq!(acceptor.accept(far, &tls).await.is_ok(), result == "SUCCESS");
        drop(client.await.unwrap());
        expected.push((result.to_owned(), 1));
    }
    let values = store.values().into_iter().map(|counter| (counter.labels[0].to_string(), counter.value));
    assert_eq!(values.collect::<Vec<_>>(), expected);
}

/// H2.
#[tokio::test]
async fn client_without_http2_is_refused() {
    let authority = Authority::new("root");
    let tls = server(&authority, ClientCertificates::NotRequested);
    for protocols in [vec![], vec![b"http/1.1".to_vec()], vec![b"h2c".to_vec()]] {
        let mut config = client(&authority, None);
        config.alpn_protocols = protocols;
        let (accepted, read) = handshake(&tls, config).await;
        let error = accepted.unwrap_err();
        assert_eq!(error.result(), HandshakeResult::NoApplicationProtocol, "{error}");
        assert!(error.to_string().contains("ALPN"), "{error}");
        assert!(read.is_err());
    }
}
