//! `/v1/clients`.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};

use crate::discovery::ClientStatus;

use super::Admin;
use super::error::Failure;

/// Every connected client, oldest stream first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientList {
    /// One entry per ADS stream.
    pub clients: Vec<ClientStatus>,
}

pub(super) async fn list(State(admin): State<Admin>) -> Json<ClientList> {
    Json(ClientList { clients: admin.registry.clients() })
}

/// `id` is a stream's number or a node's id; a node that has several streams is found by the oldest.
pub(super) async fn one(
    State(admin): State<Admin>,
    Path(id): Path<String>,
) -> Result<Json<ClientStatus>, Failure> {
    let by_number = id.parse().ok().and_then(|number| admin.registry.client(number));
    let found =
        by_number.or_else(|| admin.registry.clients().into_iter().find(|client| client.node_id == id));
    found.map(Json).ok_or_else(|| Failure::not_found(format!("no client {id:?} is connected")))
}
