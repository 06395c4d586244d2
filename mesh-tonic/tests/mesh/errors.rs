//! What a caller is told.

use mesh_core::Mesh;
use mesh_core::config::{MeshConfig, Name};
use mesh_core::runtime::{
    ConfigSource, ConfigState, ConfigWatch, FixedSource, MeshError, MeshErrorKind, SourceError, Target,
};
use mesh_core::testing::reserved_address;
use mesh_tonic::{MeshChannel, WaitForReady};
use tokio::sync::watch;
use tonic::{Code, Request};

use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::{call, client, hello};

/// A source whose every word the test says.
#[derive(Debug, Clone)]
struct Told(watch::Sender<ConfigState>);

impl Told {
    fn new() -> Self {
        Self(watch::Sender::new(ConfigState::default()))
    }

    fn say(&self, change: impl FnOnce(&mut ConfigState)) {
        self.0.send_modify(change);
    }
}

impl ConfigSource for Told {
    fn watch(&self, _: &Target) -> Result<ConfigWatch, SourceError> {
        Ok(ConfigWatch::new(self.0.subscribe(), ()))
    }

    fn node_id(&self) -> Name {
        "node-7".into()
    }
}

/// Proves: OB-23.
#[tokio::test]
async fn errors_name_service_endpoint_control_server_and_node() {
    let address = reserved_address();
    let source = Told::new();
    let mesh = Mesh::new(source.clone());
    let unreachable = SourceError::new("control server http://127.0.0.1:1 unreachable for 12 s");
    source.say(|state| {
        state.config = Some(Ok(MeshConfig::to_endpoints("cart", [address]).into()));
        state.ambient = Some(unreachable);
    });
    let status = call(&mut client(&mesh)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    for part in ["xds:///greeter", "cluster cart", &address.to_string(), "unreachable for 12 s", "node-7"] {
        assert!(status.message().contains(part), "{part:?} is not in {:?}", status.message());
    }
    let rows =
        [Config::default(), Config::default().cluster("a", &[]).to(mesh_core::config::Forward::to("a"))];
    for config in rows {
        source.say(|state| state.config = Some(Ok(config.build().into())));
        let mut client = client(&mesh);
        tokio::task::yield_now().await;
        let status = call(&mut client).await.unwrap_err();
        assert!(status.message().contains("node-7"), "{status}");
    }
}

#[tokio::test]
async fn before_the_first_configuration_calls_wait_unless_something_is_wrong() {
    let endpoint = Endpoint::start("a").await;
    let source = Told::new();
    let mesh = Mesh::new(source.clone());
    let client = client(&mesh);
    let spawn = |wait| {
        let mut client = client.clone();
        tokio::spawn(async move {
            let mut request = Request::new(hello("you"));
            request.extensions_mut().insert(WaitForReady(wait));
            client.say_hello(request).await
        })
    };
    let (fast, patient) = (spawn(false), spawn(true));
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    assert!(!fast.is_finished() && !patient.is_finished(), "nothing is wrong yet");

    let error =
        "control server http://127.0.0.1:1: connect to 127.0.0.1:1: connection refused (os error 111)";
    source.say(|state| state.ambient = Some(SourceError::new(error)));
    let status = fast.await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("127.0.0.1:1") && status.message().contains("111"), "{status}");
    assert!(!patient.is_finished());

    source.say(|state| state.config = Some(Err(SourceError::new("listener greeter does not exist"))));
    let status = spawn(false).await.unwrap().unwrap_err();
    assert!(status.message().contains("does not exist"), "{status}");
    assert!(!patient.is_finished());

    let config = MeshConfig::to_endpoints("greeter", [endpoint.address]);
    source.say(|state| *state = ConfigState::of(config));
    assert_eq!(patient.await.unwrap().unwrap().into_inner().endpoint, "a");
}

#[tokio::test]
async fn whole_targets_error_replaces_its_configuration() {
    let endpoint = Endpoint::start("a").await;
    let source = FixedSource::new();
    source.set("greeter", MeshConfig::to_endpoints("greeter", [endpoint.address]));
    let mesh = Mesh::new(source.clone());
    let mut client = client(&mesh);
    call(&mut client).await.unwrap();
    source.fail("greeter", SourceError::new("listener greeter was deleted"));
    crate::eventually("the endpoint is disconnected", || endpoint.connections() == 0).await;
    let status = call(&mut client).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("was deleted"), "{status}");
    source.set("greeter", MeshConfig::to_endpoints("greeter", [endpoint.address]));
    let mut back = false;
    for _ in 0..100 {
        back |= call(&mut client).await.is_ok();
        tokio::task::yield_now().await;
    }
    assert!(back);
}

#[tokio::test]
async fn status_leads_back_to_the_error_of_the_mesh() {
    let mesh = Mesh::new(FixedSource::any(MeshConfig::to_endpoints("cart", [reserved_address()])));
    let status = call(&mut client(&mesh)).await.unwrap_err();
    let error = std::error::Error::source(&status).unwrap().downcast_ref::<MeshError>().unwrap();
    assert_eq!(error.kind(), MeshErrorKind::NoEndpoint);
    assert_eq!(error.cluster().map(|name| &**name), Some("cart"));
    assert!(error.is_unsent());
}

#[tokio::test]
async fn invalid_targets_are_refused_at_once() {
    let mesh = Mesh::new(FixedSource::new());
    let rows = [
        ("dns:///greeter", "dns"),
        ("xds:///", "empty"),
        ("xds:///a/b", "a%2Fb"),
        ("greeter", "xds:///greeter: this mesh has no configuration for any target"),
    ];
    for (target, text) in rows {
        let error = MeshChannel::builder(target).mesh(&mesh).build().unwrap_err().to_string();
        assert!(error.contains(text), "{target}: {error}");
    }
}

#[tokio::test]
async fn mistyped_target_is_refused_with_a_suggestion() {
    let mesh = Mesh::fixed(MeshConfig::to_endpoints("greeter", []));
    let error = MeshChannel::builder("xds:///greter").mesh(&mesh).build().unwrap_err();
    let text = "xds:///greter: this mesh has no configuration for \"greter\", only for \"greeter\"; did you mean \"greeter\"?";
    assert_eq!([error.to_string(), format!("{error:?}")], [text, text]);
}

#[test]
fn channel_outside_of_a_runtime_is_refused() {
    let mesh = Mesh::fixed(MeshConfig::to_endpoints("greeter", []));
    let error = MeshChannel::builder("greeter").mesh(&mesh).build().unwrap_err();
    assert!(error.to_string().contains("tokio runtime"), "{error}");
}

/// A gateway may hand such a header on from its own caller. No connection can carry it, so no other is tried.
#[tokio::test]
async fn request_that_http2_cannot_carry_fails_at_once() {
    let endpoint = Endpoint::start("a").await;
    let mesh = Mesh::fixed(MeshConfig::to_endpoints("greeter", [endpoint.address]));
    let mut client = client(&mesh);
    let mut request = Request::new(hello("you"));
    request.metadata_mut().insert("connection", "keep-alive".parse().unwrap());
    let failed = tokio::time::timeout(std::time::Duration::from_secs(60), client.say_hello(request)).await;
    let status = failed.expect("it fails at once").unwrap_err();
    assert_eq!(status.code(), Code::Internal, "{status}");
    call(&mut client).await.unwrap();
}

/// The second half of RT-26: also one that waits already.
/// Proves: LB-77.
#[tokio::test]
async fn wait_for_ready_call_fails_when_cluster_or_target_is_removed() {
    let address = reserved_address();
    let rows: [fn(&mut ConfigState); 2] = [
        |state| {
            let gone = Err(mesh_core::config::ResourceError::new("cluster cart does not exist"));
            let config = Config::default().to(mesh_core::config::Forward::to("cart")).entry("cart", gone);
            state.config = Some(Ok(config.build().into()));
        },
        |state| state.config = Some(Err(SourceError::new("the listener is gone"))),
    ];
    for change in rows {
        let source = Told::new();
        let mesh = Mesh::new(source.clone());
        source.say(|state| state.config = Some(Ok(MeshConfig::to_endpoints("cart", [address]).into())));
        let mut waiting = client(&mesh);
        let waiting = tokio::spawn(async move {
            let mut request = Request::new(hello("you"));
            request.extensions_mut().insert(WaitForReady(true));
            waiting.say_hello(request).await
        });
        let status = call(&mut client(&mesh)).await.unwrap_err();
        assert!(status.message().contains("refused"), "{status}");
        assert!(!waiting.is_finished());
        source.say(change);
        let ended = tokio::time::timeout(std::time::Duration::from_secs(60), waiting).await;
        let status = ended.expect("it does not wait any longer").unwrap().unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status}");
    }
}
