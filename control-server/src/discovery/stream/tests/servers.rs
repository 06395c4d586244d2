//! Listeners of servers, which are made when they are asked for.

use std::sync::Arc;

use bytes::Bytes;

use super::{Client, set};
use crate::discovery::stream::Protocol;
use crate::resources::{ClientScope, EncodedResource, ResourceKind, ResourceSet, ServerListeners};

/// Makes listeners of one version for port 80 of any address, and none for other ports.
#[derive(Debug)]
struct Version(&'static str);

impl ServerListeners for Version {
    fn listener(&self, name: &str, _: &ClientScope) -> Option<Arc<EncodedResource>> {
        let listener = EncodedResource {
            name: name.into(),
            version: self.0.into(),
            bytes: Bytes::new(),
            made_by: Arc::default(),
            rules: None,
        };
        name.ends_with(":80").then(|| Arc::new(listener))
    }

    fn trust_domain(&self) -> Arc<str> {
        "mesh".into()
    }
}

fn with(version: &'static str, resources: &[&str]) -> ResourceSet {
    let mut set = set(resources);
    set.set_servers(Arc::new(Version(version)));
    set
}

const ONE: &str = "xds.istio.io/grpc/lds/inbound/0.0.0.0:80";
const NO_SUCH: &str = "xds.istio.io/grpc/lds/inbound/0.0.0.0:81";

#[test]
fn server_gets_the_listener_it_asks_for_and_every_change_of_it() {
    for protocol in [Protocol::Sotw, Protocol::Delta] {
        let mut client = Client::new(protocol);
        client.configure_set(with("1", &["lds a=1"]));
        client.ask(ResourceKind::Listener, &[ONE, "a"]);
        assert_eq!(client.sends(), [format!("lds a=1 {ONE}=1")]);
        client.ack(ResourceKind::Listener);
        client.configure_set(with("1", &["lds a=1"]));
        assert_eq!(client.sends(), [""; 0], "made anew, and the same");
        client.configure_set(with("2", &["lds a=1"]));
        let expected = match protocol {
            Protocol::Sotw => format!("lds a=1 {ONE}=2"),
            Protocol::Delta => format!("lds {ONE}=2"),
        };
        assert_eq!(client.sends(), [expected]);
        client.ack(ResourceKind::Listener);
        let statuses = client.status();
        assert_eq!((statuses[0].missing.len(), statuses[0].names.len()), (0, 2));
    }
}

#[test]
fn listener_that_no_server_gets_is_missing() {
    let mut client = Client::new(Protocol::Delta);
    client.configure_set(with("1", &[]));
    client.ask(ResourceKind::Listener, &[NO_SUCH]);
    assert_eq!(client.sends(), [format!("lds !{NO_SUCH}")]);
    client.ack(ResourceKind::Listener);
    assert_eq!(client.status()[0].missing, [NO_SUCH]);
}

/// The addresses of servers are not known, so the wildcard holds no listener of one.
#[test]
fn wildcard_holds_only_listeners_of_servers_that_are_named() {
    for protocol in [Protocol::Sotw, Protocol::Delta] {
        let mut client = Client::new(protocol);
        client.configure_set(with("1", &["lds a=1"]));
        client.ask(ResourceKind::Listener, &["*"]);
        assert_eq!(client.sends(), ["lds a=1"]);
        client.ack(ResourceKind::Listener);
        let names: &[&str] = if protocol == Protocol::Sotw { &["*", ONE] } else { &[ONE] };
        client.ask(ResourceKind::Listener, names);
        let expected =
            if protocol == Protocol::Sotw { format!("lds a=1 {ONE}=1") } else { format!("lds {ONE}=1") };
        assert_eq!(client.sends(), [expected]);
    }
}
