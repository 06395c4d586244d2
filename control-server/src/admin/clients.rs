//! `/v1/clients`.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};

use crate::discovery::{ClientConfig, ClientStatus};

use super::Admin;
use super::error::Failure;
use super::near::NearNames;

/// Every connected client, oldest stream first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientList {
    /// One entry per ADS stream.
    pub clients: Vec<ClientStatus>,
}

pub(super) async fn list(State(admin): State<Admin>) -> Json<ClientList> {
    let mut clients = admin.registry.clients();
    add_near_names(&admin, &mut clients);
    Json(ClientList { clients })
}

/// `id` is a stream's number or a node's id; a node that has several streams is found by the oldest.
pub(super) async fn one(
    State(admin): State<Admin>,
    Path(id): Path<String>,
) -> Result<Json<ClientStatus>, Failure> {
    let found = find(&admin, &id).and_then(|number| admin.registry.client(number));
    let mut found = found.ok_or_else(|| unknown_client(&id))?;
    add_near_names(&admin, std::slice::from_mut(&mut found));
    Ok(Json(found))
}

fn add_near_names(admin: &Admin, clients: &mut [ClientStatus]) {
    let Some(latest) = admin.cache.latest() else { return };
    let mut near = NearNames::new(&latest.set);
    clients.iter_mut().for_each(|client| near.add(client));
}

/// The same client, resource by resource.
pub(super) async fn config(
    State(admin): State<Admin>,
    Path(id): Path<String>,
) -> Result<Json<ClientConfig>, Failure> {
    let found = find(&admin, &id).and_then(|number| admin.registry.config(number));
    found.map(Json).ok_or_else(|| unknown_client(&id))
}

/// The stream of a client.
pub(super) fn find(admin: &Admin, id: &str) -> Option<u64> {
    let clients = admin.registry.briefs();
    let by_number = id.parse().ok().filter(|number| clients.iter().any(|client| client.id == *number));
    by_number.or_else(|| clients.iter().find(|client| client.node_id == id).map(|client| client.id))
}

pub(super) fn unknown_client(id: &str) -> Failure {
    Failure::not_found(format!("no client {id:?} is connected"))
}
