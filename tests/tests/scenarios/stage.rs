//! What most scenarios begin with: endpoints, a control-server that knows them, and a client that uses both.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::mesh::MeshClient;
use tests::yaml::{self, Endpoint};
use tests::{ConfigDir, ControlServer, Greeter, within};
use xds_client::protocol::{BackoffSettings, ResourceState};

/// Two endpoints, v1 and v2, and a route to v1.
pub(crate) struct Stage {
    pub(crate) control: ControlServer,
    pub(crate) greeters: [Greeter; 2],
}

impl Stage {
    pub(crate) async fn start() -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST.into(), &[]).await
    }

    /// The control-server at another address, with a command in front.
    pub(crate) async fn start_at(address: IpAddr, front: &[&str]) -> Self {
        let greeters = [Greeter::start("one", "v1").await, Greeter::start("two", "v2").await];
        let config = ConfigDir::new();
        let endpoints = [Endpoint::new(greeters[0].address, "v1"), Endpoint::new(greeters[1].address, "v2")];
        config.write("service.yaml", &yaml::service(&endpoints));
        config.write("route.yaml", &route("v1"));
        Self { control: ControlServer::start_at(address, config, front).await, greeters }
    }

    /// From now on, or from when the control-server is back.
    pub(crate) fn route_to(&self, version: &str) {
        self.control.config.write("route.yaml", &route(version));
    }

    /// Every stream that the control-server has.
    pub(crate) async fn streams(&self) -> usize {
        let clients: Value = self.control.admin("/v1/clients").await;
        clients["clients"].as_array().expect("a list of clients").len()
    }
}

/// This bootstrap with the control-server at another address.
pub(crate) fn at(address: SocketAddr, mut bootstrap: Value) -> Value {
    bootstrap["xds_servers"][0]["server_uri"] = address.to_string().into();
    bootstrap
}

/// Everything to this version.
pub(crate) fn route(version: &str) -> String {
    yaml::routes(&[&format!("{{{}}}", yaml::split(&[(version, 100)]))])
}

/// Waits for the first answer of this version; gives how long that took.
pub(crate) async fn until_version(client: &MeshClient, version: &str, bound: Duration) -> Duration {
    let what = format!("{version} answers");
    let probe = async || match client.hello().await {
        Ok(reply) if reply.version == version => Ok(()),
        other => Err(format!("{other:?}")),
    };
    within(bound, &what, probe).await.1
}

/// Waits until the client says that the control-server is gone; gives how long that took.
pub(crate) async fn until_lost(client: &MeshClient, bound: Duration) -> Duration {
    let probe = async || match client.xds.status() {
        status if !status.connected => Ok(()),
        status => Err(format!("{status:?}")),
    };
    within(bound, "the control-server counts as lost", probe).await.1
}

/// Everything that was accepted is in use, whatever the state of the control-server.
pub(crate) fn assert_all_acked(client: &MeshClient) {
    let status = client.xds.status();
    let acked = status.resources.iter().all(|found| found.state == ResourceState::Acked && found.cached);
    assert!(acked && status.resources.len() >= 4, "{status:?}");
}

/// Between one attempt to connect and the next there is at least the shortest wait of `policy`; between the first two
/// there need not be any, because a stream that had answers may be replaced at once.
pub(crate) fn assert_spaced(attempts: &[Instant], policy: &BackoffSettings) {
    let shortest = policy.initial.mul_f64(1.0 - policy.jitter);
    let gaps: Vec<_> = attempts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().skip(1).all(|gap| *gap >= shortest), "{gaps:?}, {shortest:?} at least");
}
