//! TLS from files that are replaced, broken and half written while the client reconnects.

use std::path::PathBuf;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use crate::server_tls;
use xds_client::Options;
use xds_client::bootstrap::{ChannelCredentials, IdentityFiles, ServerConfig, TlsCredentials};
use xds_client::transport::{AdsTransport, GrpcTransport, TransportError, Variant};

use crate::echo::{Echo, exchange};
use crate::grpc::ANY;

/// A certificate that is its own root, and its key; PEM.
struct Issued {
    cert: String,
    key: String,
}

impl Issued {
    fn new() -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        Self { cert: cert.pem(), key: signing_key.serialize_pem() }
    }
}

/// The server is `server` and lets in `client` only.
fn tls(server: &Issued, client: &Issued) -> Option<ServerTlsConfig> {
    let identity = Identity::from_pem(&server.cert, &server.key);
    Some(server_tls().identity(identity).client_ca_root(Certificate::from_pem(&client.cert)))
}

/// The client's files.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }

    fn put(&self, server: &Issued, client: &Issued) {
        self.write("roots.pem", &server.cert);
        self.write("cert.pem", &client.cert);
        self.write("key.pem", &client.key);
    }

    fn credentials(&self) -> TlsCredentials {
        let identity =
            IdentityFiles { certificate: self.path("cert.pem"), private_key: self.path("key.pem") };
        TlsCredentials::default().with_ca_certificate_file(self.path("roots.pem")).with_identity(identity)
    }

    fn server(&self, address: std::net::SocketAddr) -> ServerConfig {
        ServerConfig::new(address.to_string(), ChannelCredentials::Tls(self.credentials()))
    }
}

fn half(text: &str) -> &str {
    &text[..text.len() / 2]
}

/// Proves: BS-12, BS-34.
#[tokio::test]
async fn each_new_connection_uses_the_newest_files_that_are_in_order() {
    let [server, client, new_server, new_client] = [(); 4].map(|()| Issued::new());
    let (echo, files) = (Echo::default(), Files::new());
    let transport = GrpcTransport::new(&Options::default());
    let (address, first) = echo.listen(ANY, tls(&server, &client), None).await;
    let config = files.server(address);
    let open = async || exchange(&transport, &config, Variant::Sotw).await;

    let error = transport.open(&config, Variant::Sotw).await.unwrap_err();
    assert!(matches!(&error, TransportError::Credentials { .. }), "{error:?}");
    assert!(error.to_string().contains("cert.pem") && error.to_string().contains("No such file"), "{error}");
    assert_eq!(echo.connections(), 0, "without an identity, nothing is dialed");

    files.put(&server, &client);
    drop(open().await.unwrap());
    files.write("cert.pem", half(&new_client.cert));
    files.write("roots.pem", half(&new_server.cert));
    drop(open().await.unwrap());
    files.write("cert.pem", &new_client.cert);
    drop(open().await.unwrap());
    std::fs::remove_file(files.path("key.pem")).unwrap();
    drop(open().await.unwrap());
    assert_eq!(echo.connections(), 4);

    drop(first);
    let (_, _second) = echo.listen(address, tls(&new_server, &new_client), None).await;
    let error = open().await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("{address}: TLS: ")) && error.contains("certificate"), "{error}");
    files.put(&new_server, &new_client);
    drop(open().await.unwrap());
}

#[tokio::test]
async fn certificate_for_another_name_is_not_trusted() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["elsewhere".to_owned()]).unwrap();
    let server = Issued { cert: cert.pem(), key: signing_key.serialize_pem() };
    let (echo, files, client) = (Echo::default(), Files::new(), Issued::new());
    files.put(&server, &client);
    let (address, _server) = echo.listen(ANY, tls(&server, &client), None).await;
    let transport = GrpcTransport::new(&Options::default());
    let error = transport.open(&files.server(address), Variant::Sotw).await.unwrap_err().to_string();
    assert!(error.contains("not valid for name"), "{error}");
    assert_eq!(echo.calls(), []);
}

#[tokio::test]
async fn client_with_unknown_certificate_gets_the_reason() {
    let [server, client, stranger] = [(); 3].map(|()| Issued::new());
    let (echo, files) = (Echo::default(), Files::new());
    files.put(&server, &stranger);
    let (address, _server) = echo.listen(ANY, tls(&server, &client), None).await;
    let transport = GrpcTransport::new(&Options::default());
    let error = exchange(&transport, &files.server(address), Variant::Sotw).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("{address}: ")) && error.contains("alert"), "{error}");
    assert_eq!(echo.calls(), []);
}
