//! `/metrics`.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use crate::metrics::Reading;
use crate::resources::ResourceSet;

use super::Admin;
use super::error::Failure;

pub(super) async fn metrics(State(admin): State<Admin>) -> Result<impl IntoResponse, Failure> {
    let snapshot = admin.cache.latest();
    let nothing = ResourceSet::default();
    let text = admin.metrics.text(&Reading {
        clients: &admin.registry.briefs(),
        state: &admin.pipeline(),
        load: &admin.load.list(None),
        resources: snapshot.as_ref().map_or(&nothing, |snapshot| &snapshot.set),
    });
    let text = text.map_err(|error| Failure::internal(error.to_string()))?;
    Ok(([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text))
}
