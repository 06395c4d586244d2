//! The layer between connections and the application: routes, filters and deadlines of calls.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tower_service::Service;

use crate::filter::{CallFilters, LocalReply, Progress};
use crate::runtime::{CallKind, Protocol};

use super::body::{BodyWatch, DeadlineEnd, ServerBody, ServerFilters};
use super::call::{Routed, filter, route};
use super::connection::{ConnectionContext, ServerConnection};
use super::observed::ObservedServing;

/// Takes calls through the routes and filters of their connection's filter chain, and hands those that pass to the
/// application.
///
/// The connection is among the extensions of a request, or has been set. A call without one fails: it has come past the
/// server.
pub struct ServerService<P, S> {
    application: S,
    connection: Option<ServerConnection>,
    protocol: PhantomData<fn() -> P>,
}

impl<P, S: Clone> Clone for ServerService<P, S> {
    fn clone(&self) -> Self {
        let (application, connection) = (self.application.clone(), self.connection.clone());
        Self { application, connection, protocol: PhantomData }
    }
}

impl<P, S> std::fmt::Debug for ServerService<P, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerService").field("connection", &self.connection).finish_non_exhaustive()
    }
}

impl<P, S> ServerService<P, S> {
    /// A service that finds the connection of each request among its extensions.
    pub fn new(application: S) -> Self {
        Self { application, connection: None, protocol: PhantomData }
    }

    /// A service for the calls of one connection.
    pub(super) fn on(application: S, connection: ServerConnection) -> Self {
        Self { application, connection: Some(connection), protocol: PhantomData }
    }
}

impl<P, S, A, B> Service<Request<A>> for ServerService<P, S>
where
    P: Protocol,
    S: Service<Request<A>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    A: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
{
    type Response = Response<ServerBody<B>>;
    type Error = S::Error;
    type Future = ServerFuture<P, S::Future, B, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.application.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        let found =
            self.connection.clone().or_else(|| request.extensions().get::<ServerConnection>().cloned());
        let kind = P::call_kind(request.headers());
        let Some(connection) = found else {
            let text = "the call has come past the mesh's server";
            return ServerFuture::replied(reply::<P, B>(
                LocalReply::http(StatusCode::SERVICE_UNAVAILABLE, text),
                kind,
                None,
            ));
        };
        let ConnectionContext { peer, shared, .. } = &*connection.0;
        if shared.observers.is_empty() {
            return self.serve(request, kind, connection);
        }
        let observed = ObservedServing::begin(&shared.observers, peer, kind, &mut request);
        let entered = observed.enter();
        let future = self.serve(request, kind, connection);
        drop(entered);
        ServerFuture { observed: Some(observed), ..future }
    }
}

impl<P, S> ServerService<P, S> {
    /// Routes and filters a call, and hands it to the application.
    fn serve<A, B>(
        &mut self,
        request: Request<A>,
        kind: CallKind,
        connection: ServerConnection,
    ) -> ServerFuture<P, S::Future, B, S::Error>
    where
        P: Protocol,
        S: Service<Request<A>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        A: Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
    {
        let (mut head, body) = request.into_parts();
        let Routed { filters, limit } = match route::<P>(&mut head, kind, &connection) {
            Ok(routed) => routed,
            Err(refused) => return ServerFuture::replied(reply::<P, B>(*refused, kind, None)),
        };
        let deadline =
            limit.and_then(|limit| Instant::now().checked_add(limit)).map(|at| Deadline { at, kind });
        let Some(mut filters) = filters else {
            let future = self.application.call(Request::from_parts(head, body));
            return ServerFuture::running(future, None, deadline);
        };
        let randomness = connection.0.shared.randomness.clone();
        let progress = randomness.with(|rng| filters.on_request(&mut head, rng));
        let request = Request::from_parts(head, body);
        match progress {
            Progress::Passed => {
                let filters = filters.see_response().then_some(ServerFilters { filters, randomness });
                ServerFuture::running(self.application.call(request), filters, deadline)
            }
            Progress::Reply(refused) => ServerFuture::replied(reply::<P, B>(
                refused,
                kind,
                Some(ServerFilters { filters, randomness }),
            )),
            waiting @ Progress::Wait(_) => {
                // the clone is not ready yet, the original is
                let next = self.application.clone();
                let application = std::mem::replace(&mut self.application, next);
                ServerFuture::held(hold::<P, S, A, B>(
                    application,
                    request,
                    (filters, waiting),
                    connection,
                    (kind, deadline),
                ))
            }
        }
    }
}

/// When a call has to be over.
#[derive(Debug, Clone, Copy)]
struct Deadline {
    at: Instant,
    kind: CallKind,
}

type RunningDeadline = (Pin<Box<Sleep>>, CallKind);

/// The rest of a call after a filter that waits.
async fn hold<P, S, A, B>(
    mut application: S,
    request: Request<A>,
    (mut filters, waiting): (CallFilters, Progress),
    connection: ServerConnection,
    (kind, deadline): (CallKind, Option<Deadline>),
) -> Result<Response<ServerBody<B>>, S::Error>
where
    P: Protocol,
    S: Service<Request<A>, Response = Response<B>>,
    B: Body<Data = Bytes>,
{
    let randomness = connection.0.shared.randomness.clone();
    let filtering = filter(request, &mut filters, waiting, &connection);
    let passed = match deadline {
        Some(deadline) => {
            tokio::time::timeout_at(deadline.at, filtering).await.unwrap_or_else(|_| Err(Box::new(overdue())))
        }
        None => filtering.await,
    };
    let filters = ServerFilters { filters, randomness };
    match passed {
        Ok(request) => {
            let filters = Some(filters).filter(|filters| filters.filters.see_response());
            ServerFuture::<P, _, B, S::Error>::running(application.call(request), filters, deadline).await
        }
        Err(refused) => Ok(reply::<P, B>(*refused, kind, Some(filters))),
    }
}

/// gRPC's DEADLINE_EXCEEDED.
fn overdue() -> LocalReply {
    LocalReply::grpc(4, "deadline exceeded on the server")
}

/// The response of a reply. Filters that have seen the request see it, too.
fn reply<P: Protocol, B>(
    reply: LocalReply,
    kind: CallKind,
    filters: Option<ServerFilters>,
) -> Response<ServerBody<B>> {
    let (mut head, ()) = P::server_reply(reply, kind).into_parts();
    if let Some(mut filters) = filters {
        filters.on_response(&mut head);
    }
    Response::from_parts(head, ServerBody::default())
}

type Held<B, E> = Pin<Box<dyn Future<Output = Result<Response<ServerBody<B>>, E>> + Send>>;

pin_project! {
    /// The response of a call on a server.
    pub struct ServerFuture<P, F, B, E> {
        #[pin]
        state: State<F, B, E>,
        // `None`: it is not observed, or has its response
        observed: Option<Box<ObservedServing>>,
        protocol: PhantomData<fn() -> P>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F, B, E> {
        /// The server has replied.
        Replied { response: Option<Response<ServerBody<B>>> },
        /// A filter makes the call wait.
        Held { rest: Held<B, E> },
        /// The application has the call.
        Running {
            #[pin]
            future: F,
            filters: Option<ServerFilters>,
            deadline: Option<RunningDeadline>,
        },
    }
}

impl<P, F, B, E> ServerFuture<P, F, B, E> {
    fn replied(response: Response<ServerBody<B>>) -> Self {
        Self::at(State::Replied { response: Some(response) })
    }

    fn held(rest: impl Future<Output = Result<Response<ServerBody<B>>, E>> + Send + 'static) -> Self {
        Self::at(State::Held { rest: Box::pin(rest) })
    }

    fn running(future: F, filters: Option<ServerFilters>, deadline: Option<Deadline>) -> Self {
        let deadline = deadline.map(|Deadline { at, kind }| (Box::pin(sleep_until(at)), kind));
        Self::at(State::Running { future, filters, deadline })
    }

    fn at(state: State<F, B, E>) -> Self {
        Self { state, observed: None, protocol: PhantomData }
    }
}

impl<P, F, B, E> std::fmt::Debug for ServerFuture<P, F, B, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerFuture").finish_non_exhaustive()
    }
}

impl<P, F, B, E> Future for ServerFuture<P, F, B, E>
where
    P: Protocol,
    F: Future<Output = Result<Response<B>, E>>,
    B: Body<Data = Bytes>,
{
    type Output = Result<Response<ServerBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let entered = this.observed.as_ref().map(|observed| observed.enter());
        let response = ready!(this.state.poll::<P>(cx));
        drop(entered);
        let Some(mut observed) = this.observed.take() else { return Poll::Ready(response) };
        Poll::Ready(match response {
            Ok(response) => {
                let (head, mut body) = response.into_parts();
                observed.on_head(&head);
                body.observe(observed);
                Ok(Response::from_parts(head, body))
            }
            Err(error) => {
                observed.on_failure();
                Err(error)
            }
        })
    }
}

impl<F, B, E> State<F, B, E>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body<Data = Bytes>,
{
    fn poll<P: Protocol>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<ServerBody<B>>, E>> {
        match self.project() {
            StateProjection::Replied { response } => {
                response.take().map_or(Poll::Pending, |response| Poll::Ready(Ok(response)))
            }
            StateProjection::Held { rest } => rest.as_mut().poll(cx),
            StateProjection::Running { future, filters, deadline } => {
                if let Poll::Ready(response) = future.poll(cx) {
                    let (head, body) = response?.into_parts();
                    return Poll::Ready(Ok(watched::<P, B>(head, body, filters.take(), deadline.take())));
                }
                let Some((sleep, kind)) = deadline else { return Poll::Pending };
                ready!(sleep.as_mut().poll(cx));
                Poll::Ready(Ok(reply::<P, B>(overdue(), *kind, filters.take())))
            }
        }
    }
}

/// The application's response, whose head the filters see now.
fn watched<P: Protocol, B: Body>(
    mut head: http::response::Parts,
    body: B,
    mut filters: Option<ServerFilters>,
    deadline: Option<RunningDeadline>,
) -> Response<ServerBody<B>> {
    if let Some(filters) = &mut filters {
        filters.on_response(&mut head);
    }
    let filters = filters.filter(|filters| filters.filters.see_trailers());
    let deadline = deadline.filter(|_| !body.is_end_stream());
    let deadline = deadline.map(|(sleep, kind)| match kind {
        CallKind::Grpc => {
            (sleep, DeadlineEnd::Trailers(P::server_reply(overdue(), kind).into_parts().0.headers))
        }
        CallKind::Http => (sleep, DeadlineEnd::Cut),
    });
    Response::from_parts(head, ServerBody::new(body, BodyWatch { filters, deadline, observed: None }))
}
