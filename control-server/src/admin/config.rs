//! `/v1/config`.

use axum::Json;
use axum::extract::State;

use crate::state::PipelineState;

use super::Admin;

pub(super) async fn config(State(admin): State<Admin>) -> Json<PipelineState> {
    Json(PipelineState::clone(&admin.pipeline()))
}
