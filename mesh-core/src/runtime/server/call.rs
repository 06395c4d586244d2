//! What a server decides about a call before the application sees it.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{Request, StatusCode};

use crate::filter::{CallFilters, CallPath, FilterChain, LocalReply, Progress, RouteFilters};
use crate::policy::route::RequestHead;
use crate::runtime::{CallKind, Protocol};

use super::connection::{ConnectionContext, ServerConnection};
use super::head;
use super::routes::Plan;

/// A call that the application may get, once its filters let it pass.
pub(super) struct Routed {
    /// `None`: it passes no filters.
    pub(super) filters: Option<CallFilters>,
    /// How long it may take.
    pub(super) limit: Option<Duration>,
}

/// Routes a call: its authority, its route in the chain of its connection, and the route's filters.
///
/// # Errors
/// The reply to a call that no route hands to the application.
pub(super) fn route<P: Protocol>(
    head: &mut Parts,
    kind: CallKind,
    connection: &ServerConnection,
) -> Result<Routed, Box<LocalReply>> {
    head::normalise(head)?;
    if let Some(reply) = P::refuse(head) {
        return Err(Box::new(reply));
    }
    let ConnectionContext { chain, peer, shared } = &*connection.0;
    let routes = chain.routes();
    // SV-18
    let compiled =
        routes.compiled.as_ref().ok_or_else(|| unavailable("the routes of this server are missing"))?;
    let authority = head.uri.authority().map_or("", |authority| authority.as_str());
    let view = RequestHead::new(authority, &head.uri, P::view(&head.headers));
    let found = shared.randomness.with(|rng| compiled.select(&view, rng));
    let filters = match found.map_err(|reason| Box::new(LocalReply::new(P::no_route(kind), reason)))? {
        Plan::Serve { filters: None, .. } => None,
        Plan::Serve { route, filters: Some(filters) } => {
            let path = CallPath { route: route.clone(), cluster: "".into(), authority: authority.into() };
            Some(call_filters(filters, path, connection))
        }
        // RT-21
        Plan::Unsupported(what) => {
            return Err(unavailable(format!("the route for this call is none for servers: {what}")));
        }
    };
    let limit =
        [P::timeout(&head.headers), chain.config.http.max_stream_duration].into_iter().flatten().min();
    head.extensions.insert(peer.clone());
    Ok(Routed { filters, limit })
}

fn call_filters(chain: &Arc<FilterChain>, path: CallPath, connection: &ServerConnection) -> CallFilters {
    let filters = RouteFilters { chain: chain.clone(), path: Arc::new(path) };
    CallFilters::new(Arc::new(filters), Some(connection.0.peer.clone()))
}

fn unavailable(reason: impl Into<Arc<str>>) -> Box<LocalReply> {
    Box::new(LocalReply::http(StatusCode::SERVICE_UNAVAILABLE, reason))
}

/// Takes a request through its filters, and waits where one waits.
pub(super) async fn filter<B>(
    request: Request<B>,
    filters: &mut CallFilters,
    mut progress: Progress,
    connection: &ServerConnection,
) -> Result<Request<B>, Box<LocalReply>> {
    let randomness = &connection.0.shared.randomness;
    let (mut head, body) = request.into_parts();
    loop {
        match progress {
            Progress::Passed => return Ok(Request::from_parts(head, body)),
            Progress::Reply(reply) => return Err(Box::new(reply)),
            Progress::Wait(until) => {
                let resume = until.await;
                progress = randomness.with(|rng| filters.resume(resume, &mut head, rng));
            }
        }
    }
}
