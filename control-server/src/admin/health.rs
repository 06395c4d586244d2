//! `/livez` and `/readyz`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::Admin;

/// Whether clients should be sent here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// Synced, able to follow changes of the configuration, and not draining.
    pub ready: bool,
    /// Why not; empty when ready.
    pub reasons: Vec<String>,
}

impl Readiness {
    pub(super) fn of(admin: &Admin) -> Self {
        let mut reasons = Vec::new();
        let state = admin.pipeline();
        if !state.blocked_by.is_empty() {
            let files = state.blocked_by.join(", ");
            reasons.push(format!(
                "{files}: cannot be read, no earlier version is known, and may restrict calls"
            ));
        } else if !state.synced {
            reasons.push("the configuration has not been read yet".to_owned());
        }
        if let Some(reason) = &state.failed {
            reasons.push(format!("changes of the configuration have no effect: {reason}"));
        }
        if admin.drain.has_begun() {
            reasons.push("the server is draining".to_owned());
        }
        Self { ready: reasons.is_empty(), reasons }
    }
}

pub(super) async fn livez() -> &'static str {
    "ok\n"
}

pub(super) async fn readyz(State(admin): State<Admin>) -> (StatusCode, Json<Readiness>) {
    let readiness = Readiness::of(&admin);
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness))
}
