//! Calls over TLS between services.

mod authority;
mod calls;
mod rotation;
mod server;
mod withdrawn;
mod wrong_peers;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use mesh_core::certificate::{CertificateProvider, CertificateSource, Material, MaterialPublisher};
use mesh_core::config::{
    ClientTls, Cluster, ClusterSettings, ConnectionSettings, Discovery, DomainPattern, Endpoint, EndpointSet,
    Forward, Locality, MeshConfig, PeerValidation, Priority, RootSource, Route, RouteAction, RouteMatch,
    VirtualHost,
};

use authority::{Authority, Leaf};
use server::TlsServer;

/// One endpoint, reached by this security.
fn config(address: SocketAddr, tls: Option<ClientTls>) -> MeshConfig {
    config_with(address, tls, ConnectionSettings::default())
}

fn config_with(address: SocketAddr, tls: Option<ClientTls>, connection: ConnectionSettings) -> MeshConfig {
    config_at(Endpoint::new(address), tls, connection)
}

fn config_at(endpoint: Endpoint, tls: Option<ClientTls>, connection: ConnectionSettings) -> MeshConfig {
    let mut settings = ClusterSettings::new("greeter");
    (settings.tls, settings.connection) = (tls.map(Arc::new), connection);
    let locality = Arc::new(Locality::of(vec![endpoint]));
    let set = EndpointSet::new(vec![Priority::new([locality])]);
    let cluster = Cluster::new(settings, Discovery::Endpoints(Ok(Arc::new(set))));
    let route = Route::new(RouteMatch::any(), RouteAction::Forward(Forward::to("greeter")));
    let host = VirtualHost::new("greeter", vec![DomainPattern::Any], vec![Arc::new(route)]);
    let clusters = [("greeter".into(), Ok(cluster))].into();
    MeshConfig::new(vec![Arc::new(host)], clusters, None).unwrap().for_target("greeter")
}

fn trusting(authority: &Authority) -> PeerValidation {
    PeerValidation::new(RootSource::Provider(authority.source()))
}

/// A client that trusts this authority, and shows this certificate.
fn client_tls(authority: &Authority, identity: &Leaf) -> ClientTls {
    ClientTls::new(trusting(authority)).with_identity(identity.source())
}

/// A provider whose material the test replaces.
#[derive(Debug, Clone, Default)]
struct Rotating(Arc<Mutex<Vec<MaterialPublisher>>>, Arc<Mutex<Option<Material>>>);

impl Rotating {
    fn source(&self, first: Material) -> CertificateSource {
        *self.1.lock().unwrap() = Some(first);
        CertificateSource::new("rotating", self.clone())
    }

    fn publish(&self, material: &Material) {
        self.0.lock().unwrap().iter().for_each(|publisher| publisher.publish(material.clone()));
    }
}

impl CertificateProvider for Rotating {
    fn run(&self, publisher: MaterialPublisher) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        if let Some(first) = self.1.lock().unwrap().take() {
            publisher.publish(first);
        }
        self.0.lock().unwrap().push(publisher);
        Box::pin(std::future::pending())
    }
}
