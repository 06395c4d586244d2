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

fn ads() -> Message {
    Message::default().message(3, &Message::default()).number(6, 2)
}
