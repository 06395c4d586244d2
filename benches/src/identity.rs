//! Peers with certificates, for the bench of handshakes and of calls over TLS.

use std::sync::Arc;

use anyhow::{Context, Result};
use examples::greeter::HelloRequest;
use examples::greeter::greeter_client::GreeterClient;
use examples::greeter::greeter_server::GreeterServer;
use examples::service::GreeterService;
use mesh_core::Mesh;
use mesh_core::certificate::{CertificateSource, Identity, Material, Roots};
use mesh_core::config::{
    ClientCertificates, ClientTls, MeshConfig, PeerValidation, RootSource, ServerChain, ServerConfig,
    ServerRoutes, ServerTls, TlsVersions,
};
use mesh_core::runtime::FixedSource;
use mesh_core::runtime::tls::{Acceptor, AcceptorSettings};
use mesh_core::testing::TlsDialer;
use mesh_tonic::{FixedServer, MeshChannel, MeshServer};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex};
use tokio::task::JoinHandle;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, HandshakeKind, RootCertStore, ServerConfig as BareServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tonic::service::Routes;

/// A root, and a certificate with its key that both sides show.
#[derive(Debug)]
pub struct Peers {
    root: Vec<u8>,
    leaf: Vec<u8>,
    key: Vec<u8>,
}

/// A client and a server that shake hands, again and again.
#[derive(Debug)]
pub enum Pair {
    /// Our dialer and acceptor.
    Mesh(Box<MeshPair>),
    /// rustls with the checks of webpki.
    Rustls(Box<RustlsPair>),
}

/// Our dialer and acceptor.
#[derive(Debug)]
pub struct MeshPair {
    dialer: TlsDialer,
    acceptor: Acceptor,
    tls: Arc<ServerTls>,
}

/// rustls alone.
#[derive(Debug)]
pub struct RustlsPair {
    client: Arc<ClientConfig>,
    server: BareServerConfig,
    shared: Arc<BareServerConfig>,
}

impl Peers {
    /// New certificates.
    ///
    /// # Errors
    /// They cannot be made.
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let root = params.self_signed(&key)?.der().to_vec();
        let issuer = Issuer::new(params, key);
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![
            SanType::URI("spiffe://td/ns/a/sa/b".try_into()?),
            SanType::DnsName("peer.example".try_into()?),
        ];
        let key = KeyPair::generate()?;
        let leaf = params.signed_by(&key, &issuer)?.der().to_vec();
        Ok(Self { root, leaf, key: key.serialize_der() })
    }

    fn source(&self) -> Result<CertificateSource> {
        let identity = Identity::from_der(vec![self.leaf.clone()], self.key.clone())?;
        let roots = Roots::from_der(vec![self.root.clone()])?;
        Ok(CertificateSource::fixed("peers", Material::default().with_identity(identity).with_roots(roots)))
    }

    fn client(&self) -> Result<ClientTls> {
        let source = self.source()?;
        Ok(ClientTls::new(PeerValidation::new(RootSource::Provider(source.clone())))
            .with_identity(source)
            .with_versions(TlsVersions::Tls13))
    }

    fn server(&self) -> Result<ServerTls> {
        let source = self.source()?;
        let clients = PeerValidation::new(RootSource::Provider(source.clone()));
        Ok(ServerTls::new(source, ClientCertificates::Required(clients)).with_versions(TlsVersions::Tls13))
    }

    /// A client with a connection to a server, both in this process.
    ///
    /// # Errors
    /// The server cannot be bound.
    pub async fn caller(&self, secured: Secured) -> Result<Caller> {
        let mut chain = ServerChain::new(ServerRoutes::all());
        if let Secured::MutualTls = secured {
            chain = chain.with_tls(self.server()?);
        }
        let config = FixedServer::new(ServerConfig::of_chain(chain)?);
        let server = MeshServer::builder().fixed(&config, "127.0.0.1:0").await?;
        let address = server.local_addr();
        let greeter = GreeterServer::new(GreeterService::new("a", "v1"));
        let task = tokio::spawn(server.serve(Routes::new(greeter)));
        let mut builder = Mesh::builder(FixedSource::only(MeshConfig::to_endpoints("greeter", [address])));
        if let Secured::MutualTls = secured {
            builder = builder.tls(self.client()?);
        }
        let channel = MeshChannel::builder("greeter").mesh(&builder.build()).build()?;
        let mut caller = Caller { client: GreeterClient::new(channel), task };
        caller.call().await?;
        Ok(caller)
    }
}

/// Whether calls are secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secured {
    /// They are not.
    Plaintext,
    /// Both sides show certificates.
    MutualTls,
}

impl Secured {
    /// For the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::MutualTls => "mutual TLS",
        }
    }
}

/// A client and its server.
#[derive(Debug)]
pub struct Caller {
    client: GreeterClient<MeshChannel>,
    task: JoinHandle<()>,
}

impl Caller {
    /// One call with a name of 32 bytes.
    ///
    /// # Errors
    /// The call fails.
    pub async fn call(&mut self) -> Result<()> {
        let request = HelloRequest { name: "x".repeat(32), count: 0 };
        self.client.say_hello(request).await?;
        Ok(())
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Pair {
    /// Our dialer and acceptor.
    ///
    /// # Errors
    /// The certificates do not fit.
    pub fn mesh(peers: &Peers) -> Result<Self> {
        let dialer = TlsDialer::new(peers.client()?);
        let (acceptor, tls) = (Acceptor::new(AcceptorSettings::default()), Arc::new(peers.server()?));
        Ok(Self::Mesh(Box::new(MeshPair { dialer, acceptor, tls })))
    }

    /// rustls alone, with the same certificates and version.
    ///
    /// # Errors
    /// The certificates do not fit.
    pub fn rustls(peers: &Peers) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(peers.root.clone()))?;
        let roots = Arc::new(roots);
        let crypto = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let versions = [&tokio_rustls::rustls::version::TLS13];
        let chain = || vec![CertificateDer::from(peers.leaf.clone())];
        let key = || PrivateKeyDer::try_from(peers.key.clone()).ok().context("the key");
        let mut client = ClientConfig::builder_with_provider(crypto.clone())
            .with_protocol_versions(&versions)?
            .with_root_certificates(roots.clone())
            .with_client_auth_cert(chain(), key()?)?;
        client.alpn_protocols = vec![b"h2".to_vec()];
        let clients = WebPkiClientVerifier::builder_with_provider(roots, crypto.clone()).build()?;
        let mut server = BareServerConfig::builder_with_provider(crypto)
            .with_protocol_versions(&versions)?
            .with_client_cert_verifier(clients)
            .with_single_cert(chain(), key()?)?;
        server.alpn_protocols = vec![b"h2".to_vec()];
        let (client, shared) = (Arc::new(client), Arc::new(server.clone()));
        Ok(Self::Rustls(Box::new(RustlsPair { client, server, shared })))
    }

    /// For the report.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Mesh(_) => "mesh",
            Self::Rustls(_) => "rustls",
        }
    }

    /// One handshake and one byte to the client, which so gets its ticket; whether a session was resumed. Without `resumes` the
    /// server forgets its sessions before.
    ///
    /// # Errors
    /// The handshake fails.
    pub async fn handshake(&mut self, resumes: bool) -> Result<bool> {
        let (near, far) = duplex(1 << 16);
        match self {
            Self::Mesh(pair) => {
                if !resumes {
                    pair.tls = Arc::new((*pair.tls).clone());
                }
                let (dialled, accepted) =
                    tokio::join!(pair.dialer.dial(near), pair.acceptor.accept(far, &pair.tls));
                let ((client, resumed), accepted) = (dialled?, accepted?);
                byte(client, accepted.stream).await?;
                Ok(resumed)
            }
            Self::Rustls(pair) => {
                if !resumes {
                    pair.server.session_storage =
                        tokio_rustls::rustls::server::ServerSessionMemoryCache::new(1024);
                    pair.shared = Arc::new(pair.server.clone());
                }
                let connector = TlsConnector::from(pair.client.clone());
                let acceptor = TlsAcceptor::from(pair.shared.clone());
                let name = ServerName::try_from("peer.example")?;
                let (client, server) = tokio::try_join!(connector.connect(name, near), acceptor.accept(far))?;
                let resumed = client.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
                byte(client, server).await?;
                Ok(resumed)
            }
        }
    }
}

async fn byte(mut client: impl AsyncRead + Unpin, mut server: impl AsyncWrite + Unpin) -> Result<()> {
    server.write_all(b"x").await?;
    server.flush().await?;
    client.read_exact(&mut [0]).await?;
    Ok(())
}
