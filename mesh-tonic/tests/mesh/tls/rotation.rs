//! Identities and roots that change while calls run.

use examples::greeter::{HelloReply, HelloRequest};
use mesh_core::Mesh;
use mesh_core::certificate::Material;
use mesh_core::config::{ClientCertificates, ClientTls, PeerValidation, RootSource, ServerTls};
use mesh_core::runtime::FixedSource;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Status, Streaming};

use super::{Authority, Rotating, TlsServer, client_tls, config, trusting};
use crate::{Client, call, client, hello};

/// A stream that goes on as long as the test likes.
pub(super) struct Chat {
    requests: mpsc::UnboundedSender<HelloRequest>,
    replies: Streaming<HelloReply>,
}

impl Chat {
    pub(super) async fn open(client: &mut Client) -> Self {
        let (requests, outgoing) = mpsc::unbounded_channel();
        let replies = client.chat(UnboundedReceiverStream::new(outgoing)).await.unwrap().into_inner();
        Self { requests, replies }
    }

    /// One message and its answer.
    pub(super) async fn say(&mut self) {
        self.exchange().await.unwrap();
    }

    /// One message and its answer, or why there is none.
    pub(super) async fn exchange(&mut self) -> Result<(), Status> {
        // The receiver is gone when the stream has ended.
        _ = self.requests.send(hello("you"));
        self.replies.message().await.map(|reply| drop(reply.expect("an answer")))
    }
}

pub(super) const GREETER: &str = "spiffe://td/greeter";

/// Proves: TLS-19.
#[tokio::test]
async fn rotated_identity_reaches_the_next_handshake_and_ends_no_stream() {
    let authority = Authority::new("root");
    let clients = ClientCertificates::Required(trusting(&authority));
    let server = TlsServer::start(ServerTls::new(authority.leaf(GREETER).source(), clients)).await;
    let rotating = Rotating::default();
    let material = |name: &str| Material::default().with_identity(authority.leaf(name).identity());
    let identity = rotating.source(material("spiffe://td/first"));
    let tls = ClientTls::new(trusting(&authority)).with_identity(identity);
    let mesh = |tls: &ClientTls| Mesh::fixed(config(server.address, Some(tls.clone())));
    let old = mesh(&tls);
    let mut old = client(&old);
    let mut chat = Chat::open(&mut old).await;
    chat.say().await;

    rotating.publish(&material("spiffe://td/second"));
    let new = mesh(&tls);
    call(&mut client(&new)).await.unwrap();
    let seen: Vec<_> = server.seen().into_iter().map(|peer| peer.unwrap().unwrap()).collect();
    assert_eq!(seen, ["spiffe://td/first", "spiffe://td/second"]);
    chat.say().await;
    call(&mut old).await.unwrap();
    assert_eq!(server.seen().len(), 2, "the connection of before is still in use");
}

#[tokio::test]
async fn server_uses_rotated_identity_and_roots_in_the_next_handshake() {
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    let rotating = Rotating::default();
    let material = |authority: &Authority, roots| {
        Material::default().with_identity(authority.leaf(GREETER).identity()).with_roots(roots)
    };
    let source = rotating.source(material(&first, first.roots()));
    let clients = ClientCertificates::Required(PeerValidation::new(RootSource::Provider(source.clone())));
    let server = TlsServer::start(ServerTls::new(source, clients)).await;
    let attempt = async |authority: &Authority| {
        let tls = client_tls(authority, &authority.leaf("spiffe://td/client"));
        let mesh = Mesh::fixed(config(server.address, Some(tls)));
        call(&mut client(&mesh)).await.map_err(|status| status.message().to_owned())
    };
    attempt(&first).await.unwrap();
    assert!(attempt(&second).await.is_err());
    rotating.publish(&material(&second, second.both_roots(&first)));
    attempt(&second).await.unwrap();
    assert!(attempt(&first).await.unwrap_err().contains("CERTIFICATE_AUTHORITY_INVALID"));
}

/// Proves: TLS-18.
#[tokio::test]
async fn security_of_a_cluster_reaches_channels_that_are_connected() {
    let authority = Authority::new("root");
    let clients = ClientCertificates::Required(trusting(&authority));
    let server = TlsServer::start(ServerTls::new(authority.leaf(GREETER).source(), clients)).await;
    let with = |name: &str| config(server.address, Some(client_tls(&authority, &authority.leaf(name))));
    let source = FixedSource::new();
    source.set("greeter", with("spiffe://td/first"));
    let mesh = Mesh::new(source.clone());
    let mut client = client(&mesh);
    call(&mut client).await.unwrap();
    let mut chat = Chat::open(&mut client).await;
    chat.say().await;

    source.set("greeter", with("spiffe://td/second"));
    for _ in 0..1000 {
        call(&mut client).await.expect("no call fails");
        if server.seen().len() == 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let seen: Vec<_> = server.seen().into_iter().map(|peer| peer.unwrap().unwrap()).collect();
    assert_eq!(seen, ["spiffe://td/first", "spiffe://td/second"]);
    chat.say().await;
}
