//! What a real service is asked, and what its answers mean.

use std::sync::Mutex as SyncMutex;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};
use xds_proto::envoy::config::core::v3::HeaderValue as ProtoValue;
use xds_proto::envoy::service::auth::v3::DeniedHttpResponse;
use xds_proto::envoy::service::auth::v3::authorization_server::{Authorization, AuthorizationServer};
use xds_proto::envoy::r#type::v3::HttpStatus;
use xds_proto::google::rpc;

use super::*;

/// A service that answers what it is told to.
#[derive(Default)]
struct Service {
    answer: CheckResponse,
    asked: Arc<SyncMutex<Vec<Request<ProtoCheck>>>>,
}

#[tonic::async_trait]
impl Authorization for Service {
    async fn check(&self, request: Request<ProtoCheck>) -> Result<Response<CheckResponse>, Status> {
        self.asked.lock().unwrap().push(request);
        Ok(Response::new(self.answer.clone()))
    }
}

/// Asks a service on a real socket.
async fn asked(answer: CheckResponse, is_strict: bool) -> (Result<CheckAnswer, String>, Request<ProtoCheck>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let service_asked = Arc::default();
    let server = Service { answer, asked: Arc::clone(&service_asked) };
    let server = tonic::transport::Server::builder().add_service(AuthorizationServer::new(server));
    let server = tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let metadata = HeaderMap::from_iter([(HeaderName::from_static("x-mesh"), HeaderValue::from_static("m"))]);
    let service = GrpcAuthorization::new(ServerConfig::insecure(target), metadata);
    let service = match is_strict {
        true => service.failing_on_invalid_change(),
        false => service,
    };
    let answer = service.check(request()).await.map_err(|error| error.to_string());
    server.abort();
    let asked = service_asked.lock().unwrap().remove(0);
    (answer, asked)
}

fn request() -> CheckRequest {
    let mut request = CheckRequest::new(http::Method::POST, "/pkg.Svc/Get?q=1", "svc");
    request.headers.append("x-a", HeaderValue::from_static("1"));
    request.headers.append("x-a", HeaderValue::from_static("2"));
    request.context_extensions.insert("k".into(), "v".into());
    request.timeout = Duration::from_secs(60);
    request
}

fn status(code: i32) -> Option<rpc::Status> {
    Some(rpc::Status { code, ..rpc::Status::default() })
}

fn option(name: &str) -> HeaderValueOption {
    let header = ProtoValue { key: name.to_owned(), value: "100%".to_owned(), ..ProtoValue::default() };
    HeaderValueOption { header: Some(header), ..HeaderValueOption::default() }
}

fn overwrite(name: &'static str) -> HeaderMutation {
    let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static("100%"));
    HeaderMutation::set(name, value, AppendAction::OverwriteIfExistsOrAdd).unwrap()
}

#[tokio::test]
async fn service_is_told_what_is_called_with_metadata_and_deadline() {
    let (answer, asked) = asked(CheckResponse { status: status(0), http_response: None }, false).await;
    assert_eq!(answer, Ok(CheckAnswer::allowed()));
    assert_eq!(asked.metadata().get("x-mesh").unwrap(), "m");
    assert!(asked.metadata().contains_key("grpc-timeout"));
    let attributes = asked.into_inner().attributes.unwrap();
    let http = attributes.request.unwrap().http.unwrap();
    assert_eq!(
        (http.method.as_str(), http.path.as_str(), http.host.as_str()),
        ("POST", "/pkg.Svc/Get?q=1", "svc")
    );
    assert_eq!((http.query.as_str(), http.headers["x-a"].as_str()), ("q=1", "1,2"));
    assert_eq!(attributes.context_extensions["k"], "v");
}

#[tokio::test]
async fn answers_allow_only_what_they_say_clearly() {
    let headers = || vec![option("X-User"), option("grpc-status"), option(":path")];
    let ok = || OkHttpResponse { headers: headers(), ..OkHttpResponse::default() };
    let denied = || DeniedHttpResponse {
        status: Some(HttpStatus { code: 401 }),
        headers: headers(),
        body: "who".to_owned(),
    };
    let allowed = CheckAnswer::Allowed { request: vec![overwrite("x-user")], response: Vec::new() };
    let refused = CheckAnswer::Denied {
        status: StatusCode::UNAUTHORIZED,
        message: "who".to_owned(),
        headers: vec![overwrite("x-user")],
    };
    let forbidden = || CheckAnswer::denied(StatusCode::FORBIDDEN, "access denied");
    let ok_response = || Some(HttpResponse::OkResponse(ok()));
    let denied_response = || Some(HttpResponse::DeniedResponse(denied()));
    let rows = [
        ("ok", status(0), ok_response(), Some(allowed.clone())),
        ("ok without a status", None, ok_response(), Some(allowed)),
        ("denied", status(7), denied_response(), Some(refused.clone())),
        ("denied in spite of the status", status(0), denied_response(), Some(refused)),
        ("only a status", status(16), None, Some(forbidden())),
        ("a status beside ok", status(7), ok_response(), Some(forbidden())),
        ("nothing", None, None, None),
    ];
    for (row, status, http_response, expected) in rows {
        let (answer, _) = asked(CheckResponse { status, http_response }, false).await;
        assert_eq!(answer.ok(), expected, "{row}");
    }
    let (answer, _) = asked(CheckResponse { status: status(0), http_response: ok_response() }, true).await;
    let Ok(CheckAnswer::Denied { status, .. }) = answer else { panic!("{answer:?}") };
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
}
