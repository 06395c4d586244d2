//! An application as it is before the mesh comes: tonic with `tls-ring`, and a TLS server of its own, made in the way that
//! takes the one provider of rustls in the program for granted. `mesh-tonic` is all that it has of the mesh.
//!
//! Takes a target, and the files of a certificate, its key and its authority. Prints the result of a call through the mesh,
//! whether rustls has been given a provider for the process, and what its own server and client said to each other.

use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;

use mesh_tonic::MeshChannel;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [target, certificate, key, authority] = arguments.as_slice() else {
        return Err("ring-service TARGET CERTIFICATE KEY AUTHORITY".into());
    };
    let called = call(target).await.map_or_else(|status| status.to_string(), |()| "answered".to_owned());
    say(&format!("mesh: {called}"))?;
    say(&format!("installed: {}", CryptoProvider::get_default().is_some()))?;
    say(&format!("own TLS: {}", own_tls(certificate, key, authority).await?))?;
    Ok(())
}

/// One call of the greeter. Its messages are left empty: a generated client would need the examples, and what they need.
async fn call(target: &str) -> std::result::Result<(), Status> {
    let channel = MeshChannel::connect(target).map_err(|error| Status::internal(error.to_string()))?;
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await?;
    let path = PathAndQuery::from_static("/mesh.examples.v1.Greeter/SayHello");
    client.unary(Request::new(()), path, ProstCodec::<(), ()>::default()).await?;
    Ok(())
}

/// A word over TLS from a server of ours to a client of ours.
async fn own_tls(certificate: &str, key: &str, authority: &str) -> Result<String> {
    let chain = vec![CertificateDer::from_pem_file(certificate)?];
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority)?)?;
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let serve = async move {
        let (stream, _) = listener.accept().await?;
        let mut stream = TlsAcceptor::from(Arc::new(server)).accept(stream).await?;
        stream.write_all(b"hello").await?;
        stream.shutdown().await
    };
    let served = tokio::spawn(serve);
    let name = ServerName::from(address.ip());
    let stream = TcpStream::connect(address).await?;
    let mut stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await?;
    let mut word = String::new();
    stream.read_to_string(&mut word).await?;
    served.await??;
    Ok(word)
}

fn say(line: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{line}")
}
