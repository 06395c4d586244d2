//! The xDS listener with TLS, over loopback sockets: who may connect, what is shown of them, and how files change.

use control_server::connection::Security;
use control_server::resources::ResourceKind::Cluster;
use control_server::server::{ClientAuth, Options, TlsOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::transport::ClientTlsConfig;

use crate::support::certificates::{Authority, Files};
use crate::support::{Client, Fixture};

/// Listens with TLS as the files say.
async fn serve(files: &Files, client_auth: ClientAuth) -> Fixture {
    let tls = TlsOptions {
        address: "127.0.0.1:0".parse().unwrap(),
        certificate: files.path("cert"),
        key: files.path("key"),
        client_auth,
    };
    Fixture::with_options(&["cds a=1"], |options| Options { tls: Some(tls), ..options }).await
}

/// Connects, and sees that it is served.
async fn is_served(fixture: &Fixture, config: ClientTlsConfig) -> Result<Client, String> {
    let address = fixture.running.xds_tls_address().unwrap();
    let mut client = Client::connect_tls(address, config).await?;
    client.ask(Cluster, &["a"], "");
    let response = client.expect("cds a=1").await;
    client.answer(&response, &["a"], None);
    Ok(client)
}

#[tokio::test]
async fn clients_are_identified_by_their_certificates() {
    let authority = Authority::new("clients");
    let files = Files::new(&authority);
    files.write("ca", &authority.pem());
    for (client_auth, with_certificate, security) in [
        (ClientAuth::None, false, Security::Tls),
        (ClientAuth::Optional(files.path("ca")), false, Security::Tls),
        (ClientAuth::Optional(files.path("ca")), true, Security::Mtls),
        (ClientAuth::Required(files.path("ca")), true, Security::Mtls),
    ] {
        let fixture = serve(&files, client_auth).await;
        let identity = "spiffe://mesh/ns/shop/sa/orders";
        let shown = with_certificate.then(|| authority.issue(identity));
        let client = is_served(&fixture, authority.client(shown)).await.unwrap();
        let clients = fixture.clients_once(|clients| clients.len() == 1).await;
        assert_eq!(clients[0].security, security);
        assert_eq!(clients[0].identity, if with_certificate { identity } else { "" });
        drop(client);
    }
}

#[tokio::test]
async fn clients_without_known_certificate_are_refused() {
    let (authority, other) = (Authority::new("ours"), Authority::new("theirs"));
    let files = Files::new(&authority);
    files.write("ca", &authority.pem());
    let required = || ClientAuth::Required(files.path("ca"));
    let optional = || ClientAuth::Optional(files.path("ca"));
    let stranger = || Some(other.issue("spiffe://other/sa/orders"));
    for (what, client_auth, shown) in [
        ("no certificate", required(), None),
        ("another authority's", required(), stranger()),
        ("another authority's where none is needed", optional(), stranger()),
        ("expired", required(), Some(authority.issue_expired("spiffe://mesh/sa/orders"))),
    ] {
        let fixture = serve(&files, client_auth).await;
        let address = fixture.running.xds_tls_address().unwrap();
        assert!(Client::connect_tls(address, authority.client(shown)).await.is_err(), "{what}");
        assert!(fixture.running.registry().is_empty(), "{what}");
    }
}

#[tokio::test]
async fn plaintext_is_not_answered() {
    let authority = Authority::new("ours");
    let fixture = serve(&Files::new(&authority), ClientAuth::None).await;
    let mut stream = TcpStream::connect(fixture.running.xds_tls_address().unwrap()).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00").await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let is_alert = |answer: &[u8]| answer.first().is_none_or(|first| *first == 21);
    assert!(is_alert(&answer), "{answer:?}");
    assert!(fixture.running.registry().is_empty());
}

#[tokio::test]
async fn new_handshakes_use_new_files_and_old_streams_stay() {
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    let files = Files::new(&first);
    let fixture = serve(&files, ClientAuth::None).await;
    let mut old = is_served(&fixture, first.client(None)).await.unwrap();

    files.write("key", "half of a key");
    files.issue(&second);
    let mut renewed = None;
    for _ in 0..3000 {
        renewed = is_served(&fixture, second.client(None)).await.ok();
        if renewed.is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let mut renewed = renewed.expect("new files not in use after 30 s");
    let address = fixture.running.xds_tls_address().unwrap();
    assert!(Client::connect_tls(address, first.client(None)).await.is_err(), "the old ones are gone");

    fixture.publish(&["cds a=2"]);
    renewed.expect("cds a=2").await;
    old.expect("cds a=2").await;
}

#[tokio::test]
async fn draining_ends_secured_streams_too() {
    let authority = Authority::new("ours");
    let fixture = serve(&Files::new(&authority), ClientAuth::None).await;
    let mut client = is_served(&fixture, authority.client(None)).await.unwrap();
    let address = fixture.running.xds_tls_address().unwrap();
    // Never says a word, and is not waited for.
    let _silent = TcpStream::connect(address).await.unwrap();
    let drained = tokio::spawn(fixture.running.drain());
    assert_eq!(client.message().await.unwrap_err().code(), tonic::Code::Unavailable);
    assert!(drained.await.unwrap(), "all left in time");
    assert!(TcpStream::connect(address).await.is_err());
}
