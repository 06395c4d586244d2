//! An agent on a Unix socket, and the peers that a process accepts by what it tells.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mesh_core::certificate::CertificateSource;
use mesh_core::config::{ClientTls, PeerValidation, RootSource};
use mesh_core::testing::TlsDialer;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig as TlsServer;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::WorkloadMaterial;
use super::message::{X509Svid, X509SvidResponse, material};
use crate::bootstrap::WorkloadApi;
use crate::certificate::crypto;
use crate::transport::start_workload_agent as start;

/// The authority of a trust domain.
struct Domain {
    name: &'static str,
    root: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

impl Domain {
    fn new(name: &'static str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().der().to_vec();
        Self { name, root, issuer: Issuer::new(params, key) }
    }

    /// A certificate in DER with its key, for the account `x`.
    fn leaf(&self) -> (Vec<u8>, Vec<u8>) {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(self.id().try_into().unwrap())];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().der().to_vec(), key.serialize_der())
    }

    fn id(&self) -> String {
        format!("spiffe://{}/x", self.name)
    }

    /// What an agent of this trust domain tells, with the bundles of others.
    fn told(&self, federated: &[&Self]) -> X509SvidResponse {
        let (x509_svid, x509_svid_key) = self.leaf();
        let svid = X509Svid { spiffe_id: self.id(), x509_svid, x509_svid_key, bundle: self.root.clone() };
        let bundles = federated.iter().map(|other| (format!("spiffe://{}", other.name), other.root.clone()));
        X509SvidResponse { svids: vec![svid], crl: Vec::new(), federated_bundles: bundles.collect() }
    }
}

/// A client whose identity and roots are those of the agent at this socket.
fn dialer(socket: &Path) -> TlsDialer {
    let agent = WorkloadApi::new(format!("unix://{}", socket.display()));
    let source = CertificateSource::new("agent", WorkloadMaterial::new(agent));
    let validation = PeerValidation::new(RootSource::Provider(source.clone()));
    TlsDialer::new(ClientTls::new(validation).with_identity(source))
}

/// A handshake with a server of this trust domain; the client waits for its first material.
async fn dial(dialer: &TlsDialer, server: &Domain) -> Result<(), String> {
    let (certificate, key) = server.leaf();
    let chain = vec![CertificateDer::from(certificate)];
    let mut config = TlsServer::builder_with_provider(crypto().unwrap())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::try_from(key).unwrap())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let (near, far) = tokio::io::duplex(1 << 16);
    let accepting = tokio::spawn(TlsAcceptor::from(Arc::new(config)).accept(far).into_future());
    let dialed = dialer.dial(near).await.map(|_| ()).map_err(|error| error.to_string());
    accepting.abort();
    dialed
}

/// Dials until the handshake ends as expected.
async fn until(dialer: &TlsDialer, server: &Domain, is_expected: fn(&Result<(), String>) -> bool) {
    let expected = async {
        while !is_expected(&dial(dialer, server).await) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), expected).await.expect("the handshakes do not change");
}

fn socket(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("agent.sock")
}

/// P6: a trust domain that a message does not have any more is withdrawn, and comes back with a later one.
#[tokio::test]
async fn trust_domain_that_the_agent_does_not_tell_any_more_is_refused() {
    let (a, b, folder) = (Domain::new("a.example"), Domain::new("b.example"), tempfile::tempdir().unwrap());
    let (tell, told) = watch::channel(a.told(&[&b]));
    let agent = start(&socket(&folder), told);
    let dialer = dialer(&socket(&folder));
    assert_eq!(dial(&dialer, &a).await, Ok(()));
    assert_eq!(dial(&dialer, &b).await, Ok(()));
    tell.send(a.told(&[])).unwrap();
    until(&dialer, &b, |dialed| dialed.as_ref().is_err_and(|error| error.contains("b.example"))).await;
    assert_eq!(dial(&dialer, &a).await, Ok(()));
    tell.send(a.told(&[&b])).unwrap();
    until(&dialer, &b, Result::is_ok).await;
    agent.abort();
}

/// An agent that is gone, or that tells nonsense, takes nothing away.
#[tokio::test]
async fn last_material_stays_while_the_agent_tells_nothing_usable() {
    let (a, b, folder) = (Domain::new("a.example"), Domain::new("b.example"), tempfile::tempdir().unwrap());
    let (tell, told) = watch::channel(a.told(&[]));
    let agent = start(&socket(&folder), told);
    let dialer = dialer(&socket(&folder));
    assert_eq!(dial(&dialer, &a).await, Ok(()));
    tell.send(X509SvidResponse::default()).unwrap();
    tell.send(X509SvidResponse { svids: Vec::new(), ..a.told(&[&b]) }).unwrap();
    assert_eq!(dial(&dialer, &a).await, Ok(()));
    tell.send(a.told(&[&b])).unwrap();
    until(&dialer, &b, Result::is_ok).await;
    agent.abort();
    _ = agent.await;
    assert_eq!(dial(&dialer, &a).await, Ok(()));
}

#[tokio::test]
async fn handshakes_fail_with_the_reason_until_there_is_an_agent() {
    let (a, folder) = (Domain::new("a.example"), tempfile::tempdir().unwrap());
    let dialer = dialer(&socket(&folder));
    let error = dial(&dialer, &a).await.unwrap_err();
    assert!(error.contains("agent.sock"), "{error}");
    let (_tell, told) = watch::channel(a.told(&[]));
    let agent = start(&socket(&folder), told);
    until(&dialer, &a, Result::is_ok).await;
    agent.abort();
}

#[test]
fn messages_are_read_whole_or_not_at_all() {
    let (a, b) = (Domain::new("a.example"), Domain::new("b.example"));
    let good = a.told(&[&b]);
    assert!(material(&good).is_ok());
    let with = |change: fn(&mut X509SvidResponse)| {
        let mut message = good.clone();
        change(&mut message);
        material(&message).map(|_| ()).unwrap_err().to_string()
    };
    let rows = [
        (with(|message| message.svids.clear()), "no identity"),
        (with(|message| message.svids[0].spiffe_id = "a.example".to_owned()), "a.example"),
        (with(|message| message.svids[0].x509_svid.truncate(9)), "cannot be parsed"),
        (with(|message| message.svids[0].x509_svid_key.clear()), "private key"),
        (with(|message| message.svids[0].bundle[0] = 0), "cannot be parsed"),
        (with(|message| message.crl.push(vec![0x30, 0])), "revocation list"),
        (
            with(|message| drop(message.federated_bundles.insert("spiffe://c d".to_owned(), Vec::new()))),
            "c d",
        ),
    ];
    for (error, expected) in rows {
        assert!(error.contains(expected), "{error}: expected {expected}");
    }
}
