//! Servers and clients of one text, in this process: identity, tokens and authorization from YAML to the handler.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use control_server::embedded::Embedded;
use examples::greeter::HelloRequest;
use examples::greeter::greeter_client::GreeterClient;
use examples::service::GreeterService;
use mesh_core::runtime::Mesh;
use mesh_core::testing::TokenIssuer;
use mesh_tonic::{MeshChannel, MeshServer, ServingState};
use serde_json::json;
use tests::certificates::Certificates;
use tests::yaml::{self, Endpoint};
use tonic::{Code, Request};
use xds_client::bootstrap::Node;

use crate::embedded::{document, service};

/// Mutual TLS for all, and tokens and identity for the greeter.
fn policies(issuer: &TokenIssuer) -> String {
    let keys = TokenIssuer::key_set([issuer]);
    let of = |kind, spec: &str| document("security.istio.io/v1", kind, "greeter", spec);
    of("PeerAuthentication", "{mtls: {mode: STRICT}}")
        + &of("RequestAuthentication", &format!("{{jwtRules: [{{issuer: issuer, jwks: '{keys}'}}]}}"))
        + &of(
            "AuthorizationPolicy",
            "{rules: [{from: [{source: {serviceAccounts: [web/front], requestPrincipals: [issuer/me]}}]}]}",
        )
}

fn mesh(text: &str, namespace: &str, certificates: PathBuf) -> Mesh {
    let mut node = Node::new(namespace);
    node.metadata.insert("NAMESPACE".to_owned(), namespace.into());
    Embedded::from_yaml(text)
        .node(node)
        .certificates(certificates)
        .mesh()
        .unwrap_or_else(|error| panic!("{error}"))
}

async fn code(mesh: &Mesh, token: Option<&str>) -> Code {
    let channel = MeshChannel::builder(yaml::target()).mesh(mesh).build().unwrap();
    let mut request = Request::new(HelloRequest::default());
    request.set_timeout(Duration::from_secs(60));
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    GreeterClient::new(channel).say_hello(request).await.map_or_else(|status| status.code(), |_| Code::Ok)
}

/// The listener's name has the port that the server is bound to.
///
/// Proves: SV-01.
#[tokio::test(flavor = "multi_thread")]
async fn embedded_mesh_secures_and_authorizes_its_own_servers() {
    let certificates = Certificates::new("spiffe://cluster.local/unused");
    let workload = |namespace: &str, account: &str| {
        let id = format!("spiffe://cluster.local/ns/{namespace}/sa/{account}");
        certificates.workload(&format!("{namespace}-{account}"), &id)
    };
    let (ours, foreign) = (TokenIssuer::new("one", 0), TokenIssuer::new("one", 1));
    let policies = policies(&ours);
    let own = mesh(&policies, "shop", workload("shop", "greeter"));
    let server = MeshServer::bind(&own, "127.0.0.1:0").await.unwrap();
    let (address, handle) = (server.local_addr(), server.handle());
    let serving = tokio::spawn(server.serve(GreeterService::new("a", "v1").into_server()));
    handle.wait_for(|state| *state == ServingState::Serving).await;

    let text = service(&[Endpoint::new(address, "v1")]) + &policies;
    let front = mesh(&text, "web", workload("web", "front"));
    let other = mesh(&text, "web", workload("web", "other"));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let token = |issuer: &TokenIssuer, subject: &str| {
        issuer.sign(&json!({"iss": "issuer", "sub": subject, "exp": now + 3600}))
    };
    let good = token(&ours, "me");
    let rows = [
        ("right account, right token", &front, Some(good.clone()), Code::Ok),
        ("another account", &other, Some(good), Code::PermissionDenied),
        ("another subject", &front, Some(token(&ours, "you")), Code::PermissionDenied),
        ("no token", &front, None, Code::PermissionDenied),
        ("forged token", &front, Some(token(&foreign, "me")), Code::Unauthenticated),
    ];
    for (row, mesh, token, expected) in rows {
        assert_eq!(code(mesh, token.as_deref()).await, expected, "{row}");
    }
    serving.abort();
}
