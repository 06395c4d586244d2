//! `/v1/authz`: whether a server answers a call.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use prost::Message as _;
use serde::{Deserialize, Serialize};
use xds_proto::envoy::config::listener::v3::Listener;

use crate::authz::{Call, Decision, decide};
use crate::resources::{ClientScope, EncodedResource, ResourceKind, SERVER_LISTENERS, Slot};
use crate::state::ClientFamily;

use super::Admin;
use super::clients;
use super::error::Failure;

/// What the servers that are meant do with a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthzAnswer {
    /// The caller's identity; empty: it calls in plaintext.
    pub from: String,
    /// One for each listener of the server.
    pub decisions: Vec<ServerDecision>,
}

/// What one listener does with a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerDecision {
    /// The listener's name.
    pub listener: String,
    /// The verdict and what decides.
    #[serde(flatten)]
    pub decision: Decision,
}

#[derive(Debug, Deserialize)]
pub(super) struct Question {
    /// `namespace/account`, `spiffe://...`, or `-` for a caller in plaintext.
    from: String,
    /// A connected server: its node's id, or the number of its stream.
    to: Option<String>,
    /// A server that states this namespace, in the place of `to`.
    namespace: Option<String>,
    /// `name=value,name=value`
    #[serde(default)]
    labels: String,
    port: Option<u16>,
    /// `Grpc` or `MeshTonic`
    family: Option<ClientFamily>,
    /// `/shop.Orders/Get`
    method: Option<String>,
    /// Of HTTP.
    http_method: Option<String>,
    host: Option<String>,
    ip: Option<String>,
    /// `name=value`, one on each line
    #[serde(default)]
    headers: String,
    /// JSON
    claims: Option<String>,
}

pub(super) async fn ask(
    State(admin): State<Admin>,
    question: Result<Query<Question>, QueryRejection>,
) -> Result<Json<AuthzAnswer>, Failure> {
    let Query(question) = question.map_err(|rejection| Failure::bad_request(rejection.body_text()))?;
    let trust_domain = admin.cache.latest().and_then(|latest| latest.set.trust_domain());
    let call = question.call(&trust_domain.unwrap_or_default())?;
    let listeners = listeners(&admin, &question)?;
    let decisions = listeners.iter().map(|resource| decision(resource, &call)).collect::<Result<_, _>>()?;
    Ok(Json(AuthzAnswer { from: call.principal.unwrap_or_default(), decisions }))
}

fn decision(resource: &EncodedResource, call: &Call) -> Result<ServerDecision, Failure> {
    let listener = Listener::decode(resource.bytes.clone())
        .map_err(|error| Failure::internal(format!("{} cannot be read: {error}", resource.name)))?;
    // The name ends with the address that the server listens on.
    let port = resource.name.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(0);
    let decision = decide(&listener, &Call { port, ..call.clone() });
    Ok(ServerDecision { listener: resource.name.to_string(), decision })
}

/// The listeners that a connected server was sent, or that one with this scope would get.
fn listeners(admin: &Admin, question: &Question) -> Result<Vec<Arc<EncodedResource>>, Failure> {
    if let Some(id) = &question.to {
        let found = clients::find(admin, id).and_then(|number| admin.registry.server_listeners(number));
        let found = found.ok_or_else(|| Failure::not_found(format!("no client {id:?} is connected")))?;
        if found.is_empty() {
            return Err(Failure::not_found(format!("{id:?} is connected, and has no listener of a server")));
        }
        return Ok(found);
    }
    let missing =
        |name: &str| Failure::bad_request(format!("expected `to`, or `namespace` and `port`: no {name}"));
    let namespace = question.namespace.clone().ok_or_else(|| missing("namespace"))?;
    let port = question.port.ok_or_else(|| missing("port"))?;
    let server = ClientScope {
        namespace: Some(namespace),
        labels: pairs(question.labels.split(','))?.collect(),
        family: question.family.unwrap_or(ClientFamily::MeshTonic),
        ..ClientScope::default()
    };
    let latest =
        admin.cache.latest().ok_or_else(|| Failure::not_found("the configuration has not been read yet"))?;
    let name = format!("{SERVER_LISTENERS}0.0.0.0:{port}");
    let found = latest.set.get_for(Slot::from(ResourceKind::Listener), &name, &server);
    found.map(|one| vec![one]).ok_or_else(|| {
        Failure::not_found(
            "a server like this gets no listener, because it would refuse it: it answers no call",
        )
    })
}

impl Question {
    fn call(&self, trust_domain: &str) -> Result<Call, Failure> {
        let bad = |what: &str, found: &str| Failure::bad_request(format!("found {found:?}, expected {what}"));
        let address =
            self.ip.as_deref().map(|ip| ip.parse().map_err(|_| bad("an IP address", ip))).transpose()?;
        let claims = self.claims.as_deref();
        let claims = claims
            .map(|text| serde_json::from_str(text).map_err(|_| bad("the claims of a token as JSON", text)))
            .transpose()?;
        let method = self.method.as_deref().map(|path| format!("/{}", path.trim_start_matches('/')));
        let headers = pairs(self.headers.lines())?.map(|(name, value)| (name.to_ascii_lowercase(), value));
        Ok(Call {
            principal: principal(&self.from, trust_domain)
                .map_err(|()| bad("`namespace/account`, `spiffe://...` or `-`", &self.from))?,
            address,
            path: method,
            method: self.http_method.clone().unwrap_or_else(|| "POST".to_owned()),
            host: self.host.clone(),
            headers: headers.collect(),
            port: 0,
            claims,
        })
    }
}

fn principal(from: &str, trust_domain: &str) -> Result<Option<String>, ()> {
    if from == "-" {
        return Ok(None);
    }
    if from.starts_with("spiffe://") {
        return Ok(Some(from.to_owned()));
    }
    match from.split_once('/') {
        Some((namespace, account))
            if !namespace.is_empty() && !account.is_empty() && !account.contains('/') =>
        {
            Ok(Some(format!("spiffe://{trust_domain}/ns/{namespace}/sa/{account}")))
        }
        _ => Err(()),
    }
}

/// `name=value` of every item that is not empty.
fn pairs<'t>(
    items: impl Iterator<Item = &'t str>,
) -> Result<impl Iterator<Item = (String, String)>, Failure> {
    let mut found = Vec::new();
    for item in items.map(str::trim).filter(|item| !item.is_empty()) {
        let (name, value) = item
            .split_once('=')
            .ok_or_else(|| Failure::bad_request(format!("found {item:?}, expected name=value")))?;
        found.push((name.to_owned(), value.to_owned()));
    }
    Ok(found.into_iter())
}
