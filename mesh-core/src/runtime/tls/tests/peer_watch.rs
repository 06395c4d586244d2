//! When an open connection is ended because its peer is not accepted any more.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::duplex;
use tokio::time::{Instant, timeout};

use crate::certificate::{
    CertificateProvider, CertificateSource, Material, MaterialPublisher, RevocationLists, Roots,
    UnknownRevocation,
};
use crate::config::{ClientCertificates, PeerValidation, RootSource, ServerTls};
use crate::counters::CounterStore;
use crate::runtime::tls::{Acceptor, AcceptorSettings, HandshakeError, PeerEnd, PeerWatch};

use super::client::{client, connect};
use super::revocation::{list, numbered_leaf};
use super::{Authority, Leaf, valid};

/// Roots that the test replaces.
#[derive(Debug, Clone)]
struct Replaced(Arc<Mutex<(Option<Material>, Option<MaterialPublisher>)>>);

impl Replaced {
    fn new(roots: Roots) -> Self {
        Self(Arc::new(Mutex::new((Some(Material::default().with_roots(roots)), None))))
    }

    fn publish(&self, material: Material) {
        self.0.lock().unwrap().1.as_ref().expect("it runs").publish(material);
    }

    fn roots(&self, roots: Roots) {
        self.publish(Material::default().with_roots(roots));
    }
}

impl CertificateProvider for Replaced {
    fn run(&self, publisher: MaterialPublisher) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut state = self.0.lock().unwrap();
        publisher.publish(state.0.take().expect("it starts once"));
        state.1 = Some(publisher);
        Box::pin(std::future::pending())
    }
}

/// An accepted client that is watched.
struct Watched {
    watch: PeerWatch,
    roots: Replaced,
    store: Arc<CounterStore>,
}

impl Watched {
    async fn accept(authority: &Authority, leaf: &Leaf, grace: Option<Duration>) -> Self {
        let (roots, store) = (Replaced::new(authority.roots()), Arc::<CounterStore>::default());
        let source = CertificateSource::new("roots", roots.clone());
        let clients = ClientCertificates::Required(PeerValidation::new(RootSource::Provider(source)));
        let tls = Arc::new(ServerTls::new(authority.leaf(&["server.example"]).source(), clients));
        let acceptor = Acceptor::new(AcceptorSettings::default());
        acceptor.count_in(&store);
        let (near, far) = duplex(1 << 16);
        let client = tokio::spawn(connect(client(authority, Some(leaf)), "server.example", near));
        let mut accepted = acceptor.accept(far, &tls).await.unwrap();
        drop(client.await.unwrap());
        let watch = accepted.watch(grace, &acceptor).expect("it has shown a certificate");
        Self { watch, roots, store }
    }

    async fn end(&mut self) -> PeerEnd {
        poll_fn(|cx| self.watch.poll_end(cx)).await
    }

    async fn cut(&mut self) -> HandshakeError {
        match self.end().await {
            PeerEnd::Cut(error) => error,
            PeerEnd::TakeNoMore => panic!("it was not cut at once"),
        }
    }

    /// Nothing happens for this long.
    async fn lasts(&mut self, time: Duration) {
        assert!(timeout(time, self.end()).await.is_err(), "it lasts for {time:?}");
    }

    fn counted(&self) -> Vec<(String, u64)> {
        let values = self.store.values().into_iter();
        let ended = values.filter(|counter| counter.family.name == "mesh.tls.ended_connections");
        ended.map(|counter| (counter.labels.join(" "), counter.value)).collect()
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// V4.
#[tokio::test(start_paused = true)]
async fn peer_of_a_withdrawn_root_is_cut_at_once() {
    let (authority, other) = (Authority::new("root"), Authority::new("other"));
    let mut watched = Watched::accept(&authority, &authority.leaf(&["a"]), None).await;
    watched.lasts(seconds(60)).await;
    // the same roots in another set
    watched.roots.roots(authority.roots());
    watched.lasts(seconds(60)).await;
    watched.roots.publish(Material::missing("the agent does not answer"));
    watched.lasts(seconds(60)).await;
    let start = Instant::now();
    watched.roots.roots(other.roots());
    let error = watched.cut().await;
    assert!(start.elapsed() <= seconds(1));
    assert!(
        error.to_string().contains("the client's certificate is refused: its chain does not end"),
        "{error}"
    );
    assert_eq!(watched.counted(), [("server CERTIFICATE_AUTHORITY_INVALID".to_owned(), 1)]);
}

/// V4.
#[tokio::test(start_paused = true)]
async fn expired_peer_takes_no_more_calls_and_is_cut_after_the_grace() {
    let authority = Authority::new("root");
    let leaf = authority.leaf_with(&["a"], |params| valid(params, -60, 3600));
    let mut watched = Watched::accept(&authority, &leaf, Some(seconds(600))).await;
    let start = Instant::now();
    assert!(matches!(watched.end().await, PeerEnd::TakeNoMore));
    let lived = start.elapsed();
    assert!(lived > seconds(3500) && lived <= seconds(3602), "{lived:?}");
    assert_eq!(watched.counted(), [("server CERTIFICATE_EXPIRED".to_owned(), 1)]);
    let start = Instant::now();
    let error = watched.cut().await;
    assert!(start.elapsed() >= seconds(600) && start.elapsed() <= seconds(601));
    assert!(error.to_string().contains("it, or one above it, expired at 2"), "{error}");
    assert_eq!(watched.counted().len(), 1, "it is counted once");
}

/// An expired peer is revoked in its grace.
#[tokio::test(start_paused = true)]
async fn expired_peer_of_a_withdrawn_root_has_no_grace() {
    let (authority, other) = (Authority::new("root"), Authority::new("other"));
    let leaf = authority.leaf_with(&["a"], |params| valid(params, -60, 60));
    let mut watched = Watched::accept(&authority, &leaf, None).await;
    assert!(matches!(watched.end().await, PeerEnd::TakeNoMore));
    watched.lasts(seconds(100_000)).await;
    watched.roots.roots(authority.roots());
    watched.lasts(seconds(100_000)).await;
    watched.roots.roots(other.roots());
    assert!(watched.cut().await.to_string().contains("CERTIFICATE_AUTHORITY_INVALID"));
}

/// A chain expires with the first of its certificates.
#[tokio::test(start_paused = true)]
async fn peer_expires_with_its_issuer() {
    let root = Authority::new("root");
    let short = root.intermediate("short", |params| valid(params, -60, 600));
    let mut watched = Watched::accept(&root, &short.leaf(&["a"]), None).await;
    watched.lasts(seconds(590)).await;
    let start = Instant::now();
    assert!(matches!(watched.end().await, PeerEnd::TakeNoMore));
    assert!(start.elapsed() <= seconds(12));
}

/// V4.
#[tokio::test(start_paused = true)]
async fn revoked_peer_is_cut_at_once_and_others_are_not() {
    let authority = Authority::new("root");
    let leaf = numbered_leaf(&authority, 7);
    let mut watched = Watched::accept(&authority, &leaf, None).await;
    let lists =
        |serial: u64| RevocationLists::new([list(&authority, &[serial], 3600)], UnknownRevocation::Refuse);
    watched.roots.roots(authority.roots().with_revocation(lists(8)));
    watched.lasts(seconds(60)).await;
    watched.roots.roots(authority.roots().with_revocation(lists(7)));
    assert!(watched.cut().await.to_string().contains("it has been revoked (CERTIFICATE_REVOKED)"));
    assert_eq!(watched.counted(), [("server CERTIFICATE_REVOKED".to_owned(), 1)]);
}

/// Where an unknown revocation is refused, a list that is not renewed ends connections as an expiry does.
#[tokio::test(start_paused = true)]
async fn peer_takes_no_more_calls_when_its_revocation_list_is_outdated() {
    let authority = Authority::new("root");
    let mut watched = Watched::accept(&authority, &numbered_leaf(&authority, 7), None).await;
    let lists = RevocationLists::new([list(&authority, &[], 600)], UnknownRevocation::Refuse);
    watched.roots.roots(authority.roots().with_revocation(lists));
    watched.lasts(seconds(590)).await;
    assert!(matches!(watched.end().await, PeerEnd::TakeNoMore));
    assert_eq!(watched.counted(), [("server CERTIFICATE_VERIFICATION_FAILED".to_owned(), 1)]);
}
