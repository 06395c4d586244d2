//! The handful of xDS messages that the bench sends, written by hand: benches know no protobuf types.

/// A protobuf message that grows field by field.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    pub(crate) fn number(mut self, field: u32, value: u64) -> Self {
        self.varint(u64::from(field) << 3);
        self.varint(value);
        self
    }

    pub(crate) fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    pub(crate) fn text(self, field: u32, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    pub(crate) fn message(self, field: u32, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }

    /// A message in an `Any`.
    fn any(self, field: u32, type_url: &str, value: &Self) -> Self {
        self.message(field, &Self::default().text(1, type_url).message(2, value))
    }

    pub(crate) fn into_vec(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// One locality of endpoints at these ports of consecutive addresses, for `ClusterLoadAssignment.endpoints`.
pub(crate) fn assignment(cluster: &str, endpoints: impl IntoIterator<Item = (u32, u32)>) -> Vec<u8> {
    let id = Message::default().text(1, "eu-central-1").text(2, "eu-central-1a");
    let weight = Message::default().number(1, 1);
    let locality = Message::default().message(1, &id).message(3, &weight);
    let locality = endpoints
        .into_iter()
        .fold(locality, |locality, (host, weight)| locality.message(2, &endpoint(host, weight)));
    Message::default().text(1, cluster).message(2, &locality).into_vec()
}

/// An `LbEndpoint` with an address, a health and a weight.
fn endpoint(host: u32, weight: u32) -> Message {
    let [a, b, c, d] = (0x0a00_0000 + host).to_be_bytes();
    let socket = Message::default().text(2, &format!("{a}.{b}.{c}.{d}")).number(3, 50051);
    let address = Message::default().message(1, &socket);
    let endpoint = Message::default().message(1, &address);
    let weight = Message::default().number(1, u64::from(weight));
    Message::default().message(1, &endpoint).number(2, 1).message(4, &weight)
}

/// A `Cluster` whose endpoints come by EDS over ADS.
pub(crate) fn cluster(name: &str) -> Vec<u8> {
    let eds = Message::default().message(1, &ads());
    Message::default().text(1, name).number(2, 3).message(3, &eds).into_vec()
}

/// A `Listener` for API clients, with one route to this cluster inside.
pub(crate) fn listener(name: &str, cluster: &str) -> Vec<u8> {
    let matcher = Message::default().text(1, "/");
    let action = Message::default().text(1, cluster);
    let route = Message::default().message(1, &matcher).message(2, &action);
    let host = Message::default().text(1, "all").text(2, "*").message(3, &route);
    let routes = Message::default().text(1, "routes").message(2, &host);
    let router = Message::default().text(1, "router").any(4, ROUTER, &Message::default());
    let manager = Message::default().message(4, &routes).message(5, &router);
    let api = Message::default().any(1, MANAGER, &manager);
    Message::default().text(1, name).message(19, &api).into_vec()
}

/// A `ClusterLoadAssignment` of one locality, whose endpoints are the members of a collection.
pub(crate) fn collected(cluster: &str) -> Vec<u8> {
    let id = Message::default().text(1, "eu-central-1").text(2, "eu-central-1a");
    let weight = Message::default().number(1, 1);
    let from_here = Message::default().message(5, &Message::default()).number(6, 2);
    let collection = Message::default().message(1, &from_here).text(2, &format!("{COLLECTION}*"));
    let locality = Message::default().message(1, &id).message(3, &weight).message(8, &collection);
    Message::default().text(1, cluster).message(2, &locality).into_vec()
}

/// A wrapped `LbEndpoint`, a member of that collection.
pub(crate) fn member(number: u32, host: u32, weight: u32, version: u32) -> Message {
    let name = format!("{COLLECTION}{number:05}");
    resource(&name, &version.to_string(), MEMBER, &endpoint(host, weight).into_vec())
}

/// A `Resource` around a message of this type.
pub(crate) fn resource(name: &str, version: &str, type_url: &str, message: &[u8]) -> Message {
    let any = Message::default().text(1, type_url).bytes(2, message);
    Message::default().text(1, version).message(2, &any).text(3, name)
}

/// A `DeltaDiscoveryResponse`.
pub(crate) fn response(type_url: &str, nonce: u32, resources: impl IntoIterator<Item = Message>) -> Vec<u8> {
    let sent = resources.into_iter().fold(Message::default(), |sent, resource| sent.message(2, &resource));
    sent.text(4, type_url).text(5, &nonce.to_string()).into_vec()
}

fn ads() -> Message {
    Message::default().message(3, &Message::default()).number(6, 2)
}

const ROUTER: &str = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
const MANAGER: &str =
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const MEMBER: &str = "type.googleapis.com/envoy.config.endpoint.v3.LbEndpoint";
const COLLECTION: &str = "xdstp:///envoy.config.endpoint.v3.LbEndpoint/cluster/0/";
