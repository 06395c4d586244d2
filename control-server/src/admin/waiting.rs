//! `/v1/waiting/{id}/approve`: lets a change that removes much take effect.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

use super::Admin;
use super::error::Failure;

/// A change that has been approved, and is in effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The id of the change.
    pub approved: String,
}

/// Takes requests of JSON only: a page in an operator's browser cannot send those to another server without being asked for it.
pub(super) async fn approve(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Approval>, Failure> {
    if headers.get(CONTENT_TYPE).is_none_or(|found| found != "application/json") {
        let message = "an approval needs the header content-type: application/json";
        return Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    if let Some(approver) = &admin.approver
        && approver.approve(&id).await
    {
        return Ok(Json(Approval { approved: id }));
    }
    let message = match &admin.pipeline().waiting {
        Some(waiting) => format!("the change {id:?} does not wait any more; {:?} does", waiting.id),
        None => "no change waits".to_owned(),
    };
    Err(Failure::new(StatusCode::CONFLICT, message))
}
