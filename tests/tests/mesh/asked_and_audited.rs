//! `AuthorizationPolicy` with the actions CUSTOM and AUDIT, from YAML to the calls of a server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use control_server::embedded::Embedded;
use examples::service::GreeterService;
use mesh_core::filter::{AuditEntry, AuditLogger};
use mesh_core::runtime::Mesh;
use mesh_core::testing::reserved_address;
use mesh_tonic::{MeshServer, ServingState};
use tests::yaml::Endpoint;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status};
use xds_client::Options;
use xds_client::bootstrap::{AllowedGrpcService, ChannelCredentials, Node};
use xds_client::resource::{AuditLoggerType, ExtensionError, ExtensionPayload, RbacFilter};
use xds_proto::envoy::service::auth::v3::authorization_server::{Authorization, AuthorizationServer};
use xds_proto::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use xds_proto::google::rpc;

use crate::embedded::{document, of_text, service};

/// Allows the calls of the tenant `gold`, and keeps the paths that it is asked about.
#[derive(Clone, Default)]
struct OnlyGold(Arc<Mutex<Vec<String>>>);

#[tonic::async_trait]
impl Authorization for OnlyGold {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let http = request.into_inner().attributes.unwrap().request.unwrap().http.unwrap();
        self.0.lock().unwrap().push(http.path);
        let is_gold = http.headers.get("x-tenant").is_some_and(|tenant| tenant == "gold");
        let code = if is_gold { Code::Ok } else { Code::PermissionDenied };
        let status = rpc::Status { code: code.into(), ..rpc::Status::default() };
        Ok(Response::new(CheckResponse { status: Some(status), http_response: None }))
    }
}

impl OnlyGold {
    async fn start(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tonic::transport::Server::builder().add_service(AuthorizationServer::new(self.clone()));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        address
    }
}

/// The settings of the mesh with the provider `gold`, and a policy that asks it about these rules.
fn asking(service: SocketAddr, rules: &str) -> String {
    let provider = format!(
        "{{name: gold, envoyExtAuthzGrpc: {{service: {}, port: {}, timeout: 60s}}}}",
        service.ip(),
        service.port()
    );
    let settings =
        document("mesh.dev/v1alpha1", "MeshConfig", "mesh", &format!("{{extensionProviders: [{provider}]}}"));
    let settings = settings.replace("namespace: shop", "namespace: istio-system");
    settings + &policy("ask", &format!("{{action: CUSTOM, provider: {{name: gold}}, rules: {rules}}}"))
}

fn policy(name: &str, spec: &str) -> String {
    document("security.istio.io/v1", "AuthorizationPolicy", name, spec)
}

/// A greeter whose listener these documents make. It may ask these services.
async fn server(text: &str, allowed: &[SocketAddr], options: Options) -> SocketAddr {
    let mut node = Node::new("server");
    node.metadata.insert("NAMESPACE".to_owned(), "shop".into());
    let mut embedded = Embedded::from_yaml(text.trim_start_matches("---\n")).node(node).options(options);
    for address in allowed {
        let service = AllowedGrpcService::new(ChannelCredentials::Insecure);
        embedded = embedded.allowed_service(address.to_string(), service);
    }
    let mesh = Mesh::new(embedded.client().unwrap_or_else(|error| panic!("{error}")));
    let (serving, mut is_serving) = watch::channel(false);
    let tell = move |state: &ServingState| {
        let _told = serving.send(matches!(state, ServingState::Serving));
    };
    let server = MeshServer::builder().on_state(tell).bind(&mesh, "127.0.0.1:0").await.unwrap();
    let address = server.local_addr();
    tokio::spawn(async move {
        let _mesh = mesh;
        server.serve(GreeterService::new("e", "v1").into_server()).await;
    });
    let serving = is_serving.wait_for(|serving| *serving);
    tokio::time::timeout(tests::PATIENCE, serving).await.expect("the server does not serve").unwrap();
    address
}

type Metadata = &'static [(&'static str, &'static str)];

async fn code(server: SocketAddr, metadata: Metadata) -> Code {
    let client = of_text(&service(&[Endpoint::new(server, "v1")]));
    client.hello_with(metadata).await.err().map_or(Code::Ok, |status| status.code())
}

#[tokio::test]
async fn service_decides_about_the_calls_of_a_custom_policy() {
    let gold = OnlyGold::default();
    let address = gold.start().await;
    let rules = "[{when: [{key: 'request.headers[x-tenant]', values: ['*']}]}]";
    let no_banned = policy(
        "no-banned",
        "{action: DENY, rules: [{when: [{key: 'request.headers[x-banned]', values: ['*']}]}]}",
    );
    let text = asking(address, rules) + &no_banned;
    let server = server(&text, &[address], Options::default()).await;
    let rows: [(Metadata, Code, usize); 4] = [
        (&[], Code::Ok, 0),
        (&[("x-tenant", "gold")], Code::Ok, 1),
        (&[("x-tenant", "tin")], Code::PermissionDenied, 2),
        (&[("x-tenant", "gold"), ("x-banned", "1")], Code::PermissionDenied, 3),
    ];
    for (metadata, expected, asked) in rows {
        assert_eq!(code(server, metadata).await, expected, "{metadata:?}");
        assert_eq!(gold.0.lock().unwrap().len(), asked, "{metadata:?}");
    }
    assert!(gold.0.lock().unwrap()[0].ends_with("/SayHello"), "{:?}", gold.0);
}

#[tokio::test]
async fn calls_are_refused_while_nothing_answers() {
    let dead = reserved_address();
    let unreachable = server(&asking(dead, "[{}]"), &[dead], Options::default()).await;
    assert_eq!(code(unreachable, &[]).await, Code::PermissionDenied);
}

#[tokio::test]
async fn server_that_may_not_ask_the_service_refuses_what_it_would_ask_about() {
    let gold = OnlyGold::default();
    let service = gold.start().await;
    let rules = "[{when: [{key: 'request.headers[x-tenant]', values: ['*']}]}]";
    let server = server(&asking(service, rules), &[], Options::default()).await;
    assert_eq!(code(server, &[("x-tenant", "gold")]).await, Code::PermissionDenied);
    assert_eq!(code(server, &[]).await, Code::Ok, "a call that the policy is not about");
    assert!(gold.0.lock().unwrap().is_empty(), "it was asked");
}

/// Writes entries to a list in the place of the standard output.
#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<String>>>);

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl AuditLogger for Kept {
    fn log(&self, entry: &AuditEntry<'_>) {
        let AuditEntry { policy_name, matched_rule, authorized, .. } = entry;
        self.0.lock().unwrap().push(format!("{policy_name} {matched_rule} {authorized}"));
    }
}

impl AuditLoggerType for Kept {
    fn type_name(&self) -> &str {
        "envoy.extensions.rbac.audit_loggers.stream.v3.StdoutAuditLog"
    }

    fn decode(&self, _: &ExtensionPayload<'_>) -> Result<Arc<dyn AuditLogger>, ExtensionError> {
        Ok(Arc::new(self.clone()))
    }
}

#[tokio::test]
async fn audit_log_has_the_calls_of_an_audit_policy_and_those_that_are_refused() {
    let kept = Kept::default();
    let mut options = Options::default();
    options.filters = options.filters.with(RbacFilter::default().with_audit_logger(kept.clone()));
    let text =
        policy("tell", "{action: AUDIT, rules: [{when: [{key: 'request.headers[x-told]', values: ['*']}]}]}")
            + &policy(
                "no",
                "{action: DENY, rules: [{when: [{key: 'request.headers[x-bad]', values: ['*']}]}]}",
            );
    let server = server(&text, &[], options).await;
    let rows: [(Metadata, Code); 4] = [
        (&[], Code::Ok),
        (&[("x-told", "1")], Code::Ok),
        (&[("x-told", "1"), ("x-bad", "1")], Code::PermissionDenied),
        (&[("x-bad", "1")], Code::PermissionDenied),
    ];
    for (metadata, expected) in rows {
        assert_eq!(code(server, metadata).await, expected, "{metadata:?}");
    }
    let told = "envoy.filters.http.rbac.audit ns[shop]-policy[tell]-rule[0] true";
    let refused = "envoy.filters.http.rbac.deny ns[shop]-policy[no]-rule[0] false";
    assert_eq!(*kept.0.lock().unwrap(), [told, refused, refused]);
}
