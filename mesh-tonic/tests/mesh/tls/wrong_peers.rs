//! Scenario 42: peers of every wrong kind are refused in both directions, each with its cause, and no byte of a call is ever
//! sent in plaintext.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use mesh_core::Mesh;
use mesh_core::certificate::{
    CertificateSource, Material, RevocationList, RevocationLists, Roots, SpiffeBundles, UnknownRevocation,
};
use mesh_core::config::{ClientCertificates, ClientTls, PeerValidation, RootSource, ServerTls};
use mesh_core::policy::identity::TrustDomain;
use mesh_core::policy::matcher::{StringMatcher, StringPattern};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};
use rcgen::{SanType, SerialNumber};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tonic::Code;

use super::{Authority, Leaf, TlsServer, config};
use crate::{call, client};

/// Bytes that pass between client and server, and a copy of them.
struct Relay {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<u8>>>,
    _task: JoinSet<()>,
}

impl Relay {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, seen) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<u8>>>::default());
        let (copy, mut task) = (seen.clone(), JoinSet::new());
        task.spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(server).await.unwrap();
                let ((read, write), (far_read, far_write)) = (near.into_split(), far.into_split());
                tokio::spawn(pass(read, far_write, copy.clone()));
                tokio::spawn(pass(far_read, write, copy.clone()));
            }
        });
        Self { address, seen, _task: task }
    }

    fn saw(&self, text: &str) -> bool {
        self.seen.lock().unwrap().windows(text.len()).any(|window| window == text.as_bytes())
    }
}

async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, seen: Arc<Mutex<Vec<u8>>>) {
    let mut space = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut space).await {
        seen.lock().unwrap().extend(&space[..read]);
        if to.write_all(&space[..read]).await.is_err() {
            break;
        }
    }
    _ = to.shutdown().await;
}

/// A wrong peer: what it shows, what the other side accepts, and how it is refused.
struct Wrong {
    shown: Leaf,
    accepted: PeerValidation,
    result: &'static str,
    text: &'static str,
}

const PEER: &str = "spiffe://td/peer";
const INVALID: &str = "CERTIFICATE_AUTHORITY_INVALID";
const FAILED: &str = "CERTIFICATE_VERIFICATION_FAILED";

struct Kinds {
    authority: Authority,
    kinds: Vec<Wrong>,
}

impl Kinds {
    fn validation(roots: Roots) -> PeerValidation {
        let source = CertificateSource::fixed("roots", Material::default().with_roots(roots));
        PeerValidation::new(RootSource::Provider(source))
    }

    fn add(&mut self, shown: Leaf, result: &'static str, text: &'static str) {
        let accepted = Self::validation(self.authority.roots());
        self.kinds.push(Wrong { shown, accepted, result, text });
    }

    fn changed(
        &mut self,
        change: impl FnOnce(&mut CertificateParams),
        result: &'static str,
        text: &'static str,
    ) {
        self.add(self.authority.leaf_with(PEER, change), result, text);
    }

    /// With roots by trust domain.
    fn by_domain(&mut self, names: &[SanType], result: &'static str, text: &'static str) {
        let domain = TrustDomain::parse("td").unwrap();
        let bundles = SpiffeBundles::new().with(domain, vec![self.authority.der().to_vec()]).unwrap();
        let shown = self.authority.leaf_with(PEER, |params| params.subject_alt_names = names.to_vec());
        let accepted = Self::validation(Roots::by_trust_domain(bundles));
        self.kinds.push(Wrong { shown, accepted, result, text });
    }

    /// With this name expected.
    fn named(&mut self, shown: Leaf, expected: &str, text: &'static str) {
        let pattern = StringPattern::Exact(expected.to_owned());
        let matchers = vec![StringMatcher { pattern, ignore_case: false }];
        let accepted = Self::validation(self.authority.roots()).with_names(matchers);
        self.kinds.push(Wrong { shown, accepted, result: "CERTIFICATE_HOSTNAME_MISMATCH", text });
    }

    /// With these revocation lists.
    fn revoked(&mut self, lists: Vec<RevocationList>, result: &'static str, text: &'static str) {
        let lists = RevocationLists::new(lists, UnknownRevocation::Refuse);
        let number = |params: &mut CertificateParams| params.serial_number = Some(SerialNumber::from(7));
        let shown = self.authority.leaf_with(PEER, number);
        let accepted = Self::validation(self.authority.roots().with_revocation(lists));
        self.kinds.push(Wrong { shown, accepted, result, text });
    }
}

fn at(minutes: i64) -> SystemTime {
    let offset = Duration::from_secs(60 * minutes.unsigned_abs());
    if minutes < 0 { SystemTime::now() - offset } else { SystemTime::now() + offset }
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn kinds() -> Vec<Wrong> {
    let authority = Authority::new("root");
    let outdated = authority.revocation_list(&[], at(-1));
    let revoked = authority.revocation_list(&[7], at(60));
    let mut all = Kinds { authority, kinds: Vec::new() };
    all.add(Authority::new("other").leaf(PEER), INVALID, "its chain does not end at a trusted root");
    all.add(Authority::new("root").leaf(PEER), INVALID, "trusted root");
    all.add(Leaf::self_signed(PEER), INVALID, "trusted root");
    all.changed(
        |params| (params.not_before, params.not_after) = (at(-120).into(), at(-5).into()),
        "CERTIFICATE_EXPIRED",
        "expired at 2",
    );
    all.changed(|params| params.not_before = at(5).into(), "CERTIFICATE_NOT_YET_VALID", "compare the clocks");
    all.changed(
        |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection],
        FAILED,
        "its extended key usage does not allow it to be a",
    );
    all.changed(
        |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
        FAILED,
        "certificate of an authority",
    );
    all.changed(
        |params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign],
        FAILED,
        "it may sign certificates",
    );
    all.revoked(vec![revoked], "CERTIFICATE_REVOKED", "it has been revoked");
    all.revoked(vec![outdated], FAILED, "the revocation list of its issuer is outdated since 2");
    all.revoked(vec![], FAILED, "there is no revocation list of its issuer");
    by_name(&mut all);
    all.kinds
}

fn by_name(all: &mut Kinds) {
    let leaf = |all: &Kinds, name: &str| all.authority.leaf(name);
    all.named(leaf(all, PEER), "spiffe://td/other", "it is for spiffe://td/peer, and not for");
    all.named(leaf(all, "spiffe://td/Peer"), PEER, "it is for spiffe://td/Peer, and not for");
    all.named(leaf(all, "spiffe://td/peer\0.evil"), PEER, "it is for no name at all, and not for");
    let anonymous = all.authority.leaf_with(PEER, |params| params.subject_alt_names.clear());
    all.named(anonymous, PEER, "it is for no name at all, and not for");
    let host = SanType::DnsName("peer.example".try_into().unwrap());
    all.by_domain(&[uri("spiffe://other/peer")], INVALID, "its trust domain \"other\" is not known");
    all.by_domain(&[uri(PEER), uri("spiffe://td/b")], FAILED, "it has 2 URIs among its names");
    all.by_domain(&[host], FAILED, "it has no URI among its names");
    all.by_domain(&[uri("https://td/peer")], FAILED, "is not a SPIFFE id");
    all.by_domain(&[uri("spiffe://td")], FAILED, "names a trust domain and no workload");
    all.by_domain(&[uri("spiffe://td/a%2Fb")], FAILED, "percent-encoded");
}

/// N2, P1, P2, P3, C2, R5, V1, H5 and V4's handshakes, on clients.
#[tokio::test]
async fn wrong_endpoints_are_refused_by_clients_with_the_exact_cause() {
    let kinds = kinds();
    assert!(kinds.len() >= 20, "{}", kinds.len());
    for Wrong { shown, accepted, result, text } in kinds {
        let server = TlsServer::start(ServerTls::new(shown.source(), ClientCertificates::NotRequested)).await;
        let relay = Relay::to(server.address).await;
        let mesh = Mesh::fixed(config(relay.address, Some(ClientTls::new(accepted))));
        let status = call(&mut client(&mesh)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{text}");
        if result == "CERTIFICATE_EXPIRED" {
            // R3: our server does not even show it
            let seen = server.seen().into_iter().find_map(Result::err).expect("the handshake has failed");
            assert!(seen.to_string().contains("our own certificate, from certificate provider"), "{seen}");
            continue;
        }
        for part in [text, result] {
            assert!(status.message().contains(part), "{part:?} is not in {:?}", status.message());
        }
        assert!(!relay.saw("SayHello") && !relay.saw("PRI * HTTP/2"), "{text}: nothing in plaintext");
    }
}

/// The same on servers; the client's call fails with what the server's alert says.
#[tokio::test]
async fn wrong_clients_are_refused_by_servers_with_the_exact_cause() {
    let own = Authority::new("server");
    for Wrong { shown, accepted, result, text } in kinds() {
        let required = ClientCertificates::Required(accepted);
        let server =
            TlsServer::start(ServerTls::new(own.leaf("spiffe://td/server").source(), required)).await;
        let relay = Relay::to(server.address).await;
        let tls = ClientTls::new(Kinds::validation(own.roots())).with_identity(shown.source());
        let mesh = Mesh::fixed(config(relay.address, Some(tls)));
        let status = call(&mut client(&mesh)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{text}");
        if result == "CERTIFICATE_EXPIRED" {
            // R3: the client does not even show it
            assert!(status.message().contains("our own certificate, from certificate provider"), "{status}");
            continue;
        }
        assert!(status.message().contains("the server refused the handshake: "), "{text}: {status}");
        let seen =
            server.seen().into_iter().find_map(Result::err).expect("the server has refused it").to_string();
        for part in [text, result] {
            assert!(seen.contains(part), "{part:?} is not in {seen:?}");
        }
        assert!(!relay.saw("SayHello") && !relay.saw("PRI * HTTP/2"), "{text}: nothing in plaintext");
    }
}

/// The relay sees what is plaintext, and nothing of a good call.
#[tokio::test]
async fn relay_sees_plaintext_calls_and_no_secured_ones() {
    let authority = Authority::new("root");
    let required = ClientCertificates::Required(Kinds::validation(authority.roots()));
    let server = TlsServer::start(ServerTls::new(authority.leaf(PEER).source(), required)).await;
    let relay = Relay::to(server.address).await;
    let tls =
        ClientTls::new(Kinds::validation(authority.roots())).with_identity(authority.leaf(PEER).source());
    call(&mut client(&Mesh::fixed(config(relay.address, Some(tls))))).await.unwrap();
    assert!(!relay.saw("SayHello") && !relay.saw("PRI * HTTP/2"));

    let plain = crate::endpoint::Endpoint::start("plain").await;
    let relay = Relay::to(plain.address).await;
    call(&mut client(&Mesh::fixed(config(relay.address, None)))).await.unwrap();
    assert!(relay.saw("PRI * HTTP/2"), "the relay looks");
}
