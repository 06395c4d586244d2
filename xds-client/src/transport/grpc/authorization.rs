//! Calls of an external authorization service.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use mesh_core::config::{AppendAction, HeaderMutation};
use mesh_core::filter::{CheckAnswer, CheckError, CheckFuture, CheckRequest, CheckService};
use mesh_core::peer::Peer;
use tokio::sync::Mutex;
use tonic::metadata::MetadataMap;
use xds_proto::envoy::config::core::v3::address::Address as Kind;
use xds_proto::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use xds_proto::envoy::config::core::v3::socket_address::PortSpecifier;
use xds_proto::envoy::config::core::v3::{Address, HeaderValueOption, SocketAddress};
use xds_proto::envoy::service::auth::v3::attribute_context::{
    HttpRequest, Peer as ProtoPeer, Request as ProtoRequest,
};
use xds_proto::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use xds_proto::envoy::service::auth::v3::check_response::HttpResponse;
use xds_proto::envoy::service::auth::v3::{
    AttributeContext, CheckRequest as ProtoCheck, CheckResponse, OkHttpResponse,
};

use super::pool::{Connection, PooledServer};
use super::{GrpcTransport, authorized};
use crate::bootstrap::ServerConfig;
use crate::client::Options;

/// An `envoy.service.auth.v3.Authorization` service over gRPC. All checks of equal services share a connection.
pub(crate) struct GrpcAuthorization {
    server: ServerConfig,
    metadata: HeaderMap,
    /// A header that cannot be changed fails the call, instead of being left out.
    fails_on_invalid_change: bool,
    pooled: Arc<PooledServer>,
    /// Locked while a connection is made.
    connection: Arc<Mutex<Option<Arc<Connection>>>>,
}

impl GrpcAuthorization {
    /// The service at this server, called with this metadata.
    pub(crate) fn new(server: ServerConfig, metadata: HeaderMap) -> Self {
        let (pooled, connection) = (TRANSPORT.pool.server(&server), Arc::default());
        Self { server, metadata, fails_on_invalid_change: false, pooled, connection }
    }

    /// An answer that changes a header of the protocol fails its call.
    pub(crate) fn failing_on_invalid_change(self) -> Self {
        Self { fails_on_invalid_change: true, ..self }
    }
}

impl CheckService for GrpcAuthorization {
    fn check(&self, request: CheckRequest) -> CheckFuture {
        let call = Call {
            pooled: self.pooled.clone(),
            connection: self.connection.clone(),
            metadata: self.metadata.clone(),
        };
        let fails_on_invalid_change = self.fails_on_invalid_change;
        Box::pin(async move {
            let response = call.send(request).await?;
            answer(response, fails_on_invalid_change)
        })
    }
}

impl PartialEq for GrpcAuthorization {
    fn eq(&self, other: &Self) -> bool {
        self.server == other.server
            && self.metadata == other.metadata
            && self.fails_on_invalid_change == other.fails_on_invalid_change
    }
}

impl fmt::Debug for GrpcAuthorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcAuthorization").field("server", &self.server.uri()).finish_non_exhaustive()
    }
}

/// One check.
struct Call {
    pooled: Arc<PooledServer>,
    connection: Arc<Mutex<Option<Arc<Connection>>>>,
    metadata: HeaderMap,
}

impl Call {
    async fn send(self, request: CheckRequest) -> Result<CheckResponse, CheckError> {
        let authorization = self.pooled.authorization(&TRANSPORT).await.map_err(error)?;
        let connection = self.connect().await?;
        let mut client = AuthorizationClient::with_origin(connection.http2(), connection.origin());
        let timeout = request.timeout;
        let mut call = authorized(attributes(request), authorization);
        let mut headers = std::mem::take(call.metadata_mut()).into_headers();
        for (name, value) in &self.metadata {
            headers.append(name.clone(), value.clone());
        }
        *call.metadata_mut() = MetadataMap::from_headers(headers);
        call.set_timeout(timeout);
        client.check(call).await.map(tonic::Response::into_inner).map_err(error)
    }

    /// The connection is made by a task of its own: a check that gives up does not end it, so that a later one finds it.
    async fn connect(&self) -> Result<Arc<Connection>, CheckError> {
        let mut held = self.connection.clone().lock_owned().await;
        if let Some(connection) = &*held
            && connection.takes_streams()
        {
            return Ok(connection.clone());
        }
        let pooled = self.pooled.clone();
        let made = tokio::spawn(async move {
            let made = pooled.connection(&TRANSPORT).await?;
            *held = Some(made.clone());
            Ok(made)
        });
        made.await.map_err(error)?.map_err(|failure: crate::transport::TransportError| error(failure))
    }
}

fn error(error: impl std::error::Error) -> CheckError {
    CheckError::new(error.to_string())
}

fn attributes(request: CheckRequest) -> ProtoCheck {
    let CheckRequest { method, scheme, path, authority, headers, peer, context_extensions, .. } = request;
    let query = path.split_once('?').map_or("", |(_, query)| query).to_owned();
    let http = HttpRequest {
        method: method.to_string(),
        headers: joined(&headers),
        path,
        host: authority,
        scheme,
        query,
        size: -1,
        protocol: "HTTP/2".to_owned(),
        ..HttpRequest::default()
    };
    let extensions = context_extensions.iter().map(|(key, value)| (key.to_string(), value.to_string()));
    let attributes = AttributeContext {
        source: peer.as_ref().map(source),
        destination: peer.as_ref().map(|peer| proto_peer(peer.local, "")),
        request: Some(ProtoRequest { http: Some(http) }),
        context_extensions: extensions.collect(),
    };
    ProtoCheck { attributes: Some(attributes) }
}

fn source(peer: &Peer) -> ProtoPeer {
    let principal = peer.identity().and_then(|identity| identity.principals().first());
    proto_peer(peer.remote, principal.map_or("", String::as_str))
}

fn proto_peer(at: std::net::SocketAddr, principal: &str) -> ProtoPeer {
    let socket = SocketAddress {
        address: at.ip().to_string(),
        port_specifier: Some(PortSpecifier::PortValue(at.port().into())),
        ..SocketAddress::default()
    };
    let address = Some(Address { address: Some(Kind::SocketAddress(socket)) });
    ProtoPeer { address, principal: principal.to_owned(), ..ProtoPeer::default() }
}

/// Several values of a header are joined by commas.
fn joined(headers: &HeaderMap) -> HashMap<String, String> {
    let mut joined: HashMap<String, String> = HashMap::with_capacity(headers.keys_len());
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        joined
            .entry(name.as_str().to_owned())
            .and_modify(|values| {
                values.push(',');
                values.push_str(&value);
            })
            .or_insert_with(|| value.clone().into_owned());
    }
    joined
}

/// A response that contradicts itself is a denial, and one that says nothing is no answer.
fn answer(response: CheckResponse, fails_on_invalid_change: bool) -> Result<CheckAnswer, CheckError> {
    let is_ok = response.status.as_ref().map(|status| status.code == 0);
    let invalid = |changes: &Changes| changes.has_invalid && fails_on_invalid_change;
    match (response.http_response, is_ok) {
        (None, None) => Err(CheckError::new("the response has neither a status nor an answer")),
        (None, Some(true)) => Ok(CheckAnswer::allowed()),
        (Some(HttpResponse::OkResponse(ok)), None | Some(true)) => {
            let (request, response) = (Changes::of_request(&ok), Changes::of(&ok.response_headers_to_add));
            match invalid(&request) || invalid(&response) {
                // SEC-11
                true => Ok(CheckAnswer::denied(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "external authorization failed",
                )),
                false => Ok(CheckAnswer::Allowed { request: request.valid, response: response.valid }),
            }
        }
        (Some(HttpResponse::DeniedResponse(denied)), _) => {
            let status = denied.status.and_then(|status| u16::try_from(status.code).ok());
            let status =
                status.and_then(|code| StatusCode::from_u16(code).ok()).unwrap_or(StatusCode::FORBIDDEN);
            Ok(CheckAnswer::Denied {
                status,
                message: denied.body,
                headers: Changes::of(&denied.headers).valid,
            })
        }
        (None | Some(HttpResponse::OkResponse(_)), Some(false)) => {
            Ok(CheckAnswer::denied(StatusCode::FORBIDDEN, "access denied"))
        }
    }
}

/// Changes of headers, without those of headers that are never changed.
#[derive(Default)]
struct Changes {
    valid: Vec<HeaderMutation>,
    has_invalid: bool,
}

impl Changes {
    fn of(options: &[HeaderValueOption]) -> Self {
        let mut changes = Self::default();
        options.iter().for_each(|option| changes.add(set(option)));
        changes
    }

    fn of_request(ok: &OkHttpResponse) -> Self {
        let mut changes = Self::of(&ok.headers);
        for name in &ok.headers_to_remove {
            let name = HeaderName::from_bytes(name.as_bytes()).ok();
            changes.add(name.and_then(|name| HeaderMutation::remove(name).ok()));
        }
        changes
    }

    fn add(&mut self, change: Option<HeaderMutation>) {
        self.has_invalid |= change.is_none();
        self.valid.extend(change);
    }
}

/// A header that the caller has sent is replaced unless the service asks for both: otherwise callers could forge what services add.
fn set(option: &HeaderValueOption) -> Option<HeaderMutation> {
    let header = option.header.as_ref()?;
    let name = HeaderName::from_bytes(header.key.as_bytes()).ok()?;
    let value = if header.raw_value.is_empty() { header.value.as_bytes() } else { &header.raw_value };
    #[expect(deprecated, reason = "services still send it")]
    let append = option.append.is_some_and(|append| append.value);
    let action = match HeaderAppendAction::try_from(option.append_action).ok()? {
        HeaderAppendAction::AppendIfExistsOrAdd if append => AppendAction::AppendIfExistsOrAdd,
        HeaderAppendAction::AppendIfExistsOrAdd | HeaderAppendAction::OverwriteIfExistsOrAdd => {
            AppendAction::OverwriteIfExistsOrAdd
        }
        HeaderAppendAction::AddIfAbsent => AppendAction::AddIfAbsent,
        HeaderAppendAction::OverwriteIfExists => AppendAction::OverwriteIfExists,
    };
    HeaderMutation::set(name, HeaderValue::from_bytes(value).ok()?, action).ok()
}

/// Shared by all services of the process.
static TRANSPORT: LazyLock<GrpcTransport> = LazyLock::new(|| GrpcTransport::new(&Options::default()));

#[cfg(test)]
#[path = "authorization_tests.rs"]
mod tests;
