//! Which calls come through, and what the others are told.

use std::io::Read;
use std::net::TcpListener;

use mesh_core::Mesh;
use mesh_core::certificate::CertificateSource;
use mesh_core::config::{
    ClientCertificates, ClientTls, ConnectionSettings, Endpoint, MeshConfig, PeerValidation, RootSource,
    ServerTls, Sni,
};
use mesh_core::policy::matcher::{StringMatcher, StringPattern};
use mesh_core::runtime::FixedSource;
use tonic::Code;

use super::{Authority, TlsServer, client_tls, config, config_at, trusting};
use crate::proxies::Proxy;
use crate::{call, client};

const CART: &str = "spiffe://td/ns/shop/sa/cart";
const GREETER: &str = "spiffe://td/ns/shop/sa/greeter";

async fn mutual(authority: &Authority) -> TlsServer {
    let clients = ClientCertificates::Required(trusting(authority));
    TlsServer::start(ServerTls::new(authority.leaf(GREETER).source(), clients)).await
}

fn exactly(name: &str) -> [StringMatcher; 1] {
    [StringMatcher { pattern: StringPattern::Exact(name.to_owned()), ignore_case: false }]
}

/// Proves: TLS-01, TLS-26.
#[tokio::test]
async fn mutual_call_comes_through_with_both_identities() {
    let authority = Authority::new("root");
    let server = mutual(&authority).await;
    let mut tls = client_tls(&authority, &authority.leaf(CART));
    tls.validation = tls.validation.with_names(exactly(GREETER));
    let mesh = Mesh::fixed(config(server.address, Some(tls)));
    assert_eq!(call(&mut client(&mesh)).await.unwrap(), "secure");
    assert_eq!(server.seen().pop().unwrap().unwrap().as_deref(), Some(CART));
}

/// The proxy carries what it cannot read, and the endpoint is the one whose certificate is checked.
///
/// Proves: LB-79.
#[tokio::test]
async fn endpoint_behind_a_proxy_is_secured_inside_of_the_tunnel() {
    let authority = Authority::new("root");
    let server = mutual(&authority).await;
    let proxy = Proxy::start("HTTP/1.1 200 OK").await;
    let mut tls = client_tls(&authority, &authority.leaf(CART));
    tls.validation = tls.validation.with_names(exactly(GREETER));
    let mut connection = ConnectionSettings::default();
    connection.through_proxies = true;
    let endpoint = Endpoint::new(server.address).with_proxy(proxy.address);
    let mesh = Mesh::fixed(config_at(endpoint, Some(tls), connection));
    assert_eq!(call(&mut client(&mesh)).await.unwrap(), "secure");
    assert_eq!(server.seen().pop().unwrap().unwrap().as_deref(), Some(CART));
    assert_eq!(proxy.asked().len(), 1);
}

/// Proves: TLS-15, TLS-17.
#[tokio::test]
async fn refused_endpoint_fails_the_call_with_service_endpoint_and_cause() {
    let (authority, other) = (Authority::new("root"), Authority::new("another"));
    let server = mutual(&authority).await;
    let good = || client_tls(&authority, &authority.leaf(CART));
    let mut trusting_other = good();
    trusting_other.validation = trusting(&other);
    let mut wrong_name = good();
    wrong_name.validation = wrong_name.validation.with_names(exactly("spiffe://td/ns/shop/sa/other"));
    let named = good().with_sni(Sni::validated("greeter.example"));
    let unknown = client_tls(&authority, &other.leaf(CART));
    // H1
    let mut anonymous = good();
    anonymous.identity = None;
    let rows = [
        (trusting_other, "does not end at a trusted root (CERTIFICATE_AUTHORITY_INVALID)"),
        (wrong_name, "it is for spiffe://td/ns/shop/sa/greeter, and not for any name"),
        (named, "not for greeter.example (CERTIFICATE_HOSTNAME_MISMATCH)"),
        (unknown, "it does not trust the authority of our certificate"),
        (anonymous, "it requires a client certificate, and none was shown"),
    ];
    for (tls, cause) in rows {
        let mesh = Mesh::fixed(config(server.address, Some(tls)));
        let status = call(&mut client(&mesh)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        for part in ["greeter", &server.address.to_string(), cause] {
            assert!(status.message().contains(part), "{part:?} is not in {:?}", status.message());
        }
    }
}

/// Proves: SEC-04.
#[tokio::test]
async fn missing_material_fails_the_call_and_sends_nothing() {
    let authority = Authority::new("root");
    let missing = || CertificateSource::missing("files", "cannot read /etc/tls.crt");
    let no_identity = ClientTls::new(trusting(&authority)).with_identity(missing());
    let no_roots = ClientTls::new(PeerValidation::new(RootSource::Provider(missing())));
    for tls in [no_identity, no_roots] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mesh = Mesh::fixed(config(listener.local_addr().unwrap(), Some(tls)));
        let status = call(&mut client(&mesh)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        let expected = "from certificate provider \"files\": cannot read /etc/tls.crt";
        assert!(status.message().contains(expected), "{status}");
        let mut read = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut read).unwrap();
        assert_eq!(read, b"", "no byte is sent");
    }
}

/// An endpoint that speaks plaintext is never spoken to in plaintext.
///
/// Proves: TLS-02.
#[tokio::test]
async fn plaintext_endpoint_of_a_secured_cluster_gets_no_call() {
    let authority = Authority::new("root");
    let endpoint = crate::endpoint::Endpoint::start("plain").await;
    let mesh = Mesh::fixed(config(endpoint.address, Some(client_tls(&authority, &authority.leaf(CART)))));
    let status = call(&mut client(&mesh)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("TLS:"), "{status}");
    assert_eq!(endpoint.calls(), 0);
}

/// H5, as the caller sees it.
#[tokio::test]
async fn silent_endpoint_is_given_up_at_the_connect_timeout_by_name() {
    let authority = Authority::new("root");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut connection = ConnectionSettings::default();
    connection.connect_timeout = Some(std::time::Duration::from_millis(200));
    let tls = client_tls(&authority, &authority.leaf(CART));
    let mesh = Mesh::fixed(super::config_with(silent.local_addr().unwrap(), Some(tls), connection));
    let status = call(&mut client(&mesh)).await.unwrap_err();
    assert!(status.message().contains("(HANDSHAKE_TIMEOUT)"), "{status}");
}

/// TLS for endpoints without a configuration of clusters; a cluster's own goes first.
#[tokio::test]
async fn mesh_secures_clusters_that_say_nothing_of_tls() {
    let authority = Authority::new("root");
    let clients = ClientCertificates::Required(trusting(&authority));
    let server = TlsServer::start(ServerTls::new(authority.leaf(CART).source(), clients)).await;
    let plain = crate::endpoint::Endpoint::start("plain").await;
    let mesh = |config: MeshConfig, uri: &str| {
        let tls = client_tls(&authority, &authority.leaf(uri));
        Mesh::builder(FixedSource::only(config)).tls(tls).build()
    };
    let simple = mesh(MeshConfig::to_endpoints("greeter", [server.address]), "spiffe://td/mesh");
    call(&mut client(&simple)).await.unwrap();
    let own = client_tls(&authority, &authority.leaf("spiffe://td/cluster"));
    let secured = mesh(config(server.address, Some(own)), "spiffe://td/mesh");
    call(&mut client(&secured)).await.unwrap();
    let seen: Vec<_> = server.seen().into_iter().map(|peer| peer.unwrap().unwrap()).collect();
    assert_eq!(seen, ["spiffe://td/mesh", "spiffe://td/cluster"]);

    let to_plain = mesh(MeshConfig::to_endpoints("greeter", [plain.address]), "spiffe://td/mesh");
    let status = call(&mut client(&to_plain)).await.unwrap_err();
    assert!(status.message().contains("does not speak TLS here"), "{status}");
    assert_eq!(plain.calls(), 0);
}
