//! `/v1/load`.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;

use crate::load_reports::LoadList;

use super::Admin;
use super::error::Failure;

#[derive(Debug, Deserialize)]
pub(super) struct Filter {
    cluster: Option<String>,
}

pub(super) async fn load(
    State(admin): State<Admin>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<LoadList>, Failure> {
    let Query(filter) = filter.map_err(|rejection| Failure::bad_request(rejection.body_text()))?;
    Ok(Json(admin.load.list(filter.cluster.as_deref())))
}
