//! The start of a call: it waits for a configuration, and runs the filters of its route.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::request::Parts;
use http::{Request, Response};
use tokio::time::Instant;

use crate::filter::{CallFilters, LocalReply, Progress, Resume, RouteFilters};

use super::call::Call;
use super::connect::Connect;
use super::observed::ObservedCall;
use super::response_body::ResponseFilters;
use super::retry::RetryLimits;
use super::target::{Routed, TargetContext};
use super::{MeshError, MeshErrorKind, Protocol, WaitForReady};

/// The result of the filters for a request.
#[expect(clippy::large_enum_variant, reason = "nearly every call passes, and is moved where it stays")]
pub(super) enum Filtered<P: Protocol, C: Connect> {
    /// The call continues with load balancing.
    Passed(Call<P, C>),
    /// A filter makes the call wait.
    Held(Box<Held<P, C>>),
    /// A filter has replied.
    Replied(Box<Response<()>>),
    /// The route changes the request to one that cannot be sent.
    Failed(MeshError),
}

impl<P: Protocol, C: Connect> Filtered<P, C> {
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Passed(call) => call.deadline,
            Self::Held(held) => held.passage.deadline,
            Self::Replied(_) | Self::Failed(_) => None,
        }
    }
}

type BoxedFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The states of a call before load balancing.
pub(super) enum Begin<P: Protocol, C: Connect> {
    /// Waits for its target's first configuration.
    Configure(BoxedFuture<Result<Filtered<P, C>, MeshError>>, Arc<TargetContext>, Option<Arc<ObservedCall>>),
    /// Waits for a filter.
    Hold(Option<Box<Held<P, C>>>),
    /// A filter has replied; the caller has not polled for the reply yet.
    Replied(Option<Box<Response<()>>>),
}

impl<P: Protocol, C: Connect> Begin<P, C> {
    /// Must not be polled any more once it is ready.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Filtered<P, C>, MeshError>> {
        match self {
            Self::Configure(configured, ..) => configured.as_mut().poll(cx),
            Self::Hold(holding) => {
                let Some(held) = holding else { return Poll::Pending };
                let resume = ready!(held.until.as_mut().poll(cx));
                holding.take().map_or(Poll::Pending, |held| Poll::Ready(Ok(held.passage.resume(resume))))
            }
            Self::Replied(reply) => {
                reply.take().map_or(Poll::Pending, |reply| Poll::Ready(Ok(Filtered::Replied(reply))))
            }
        }
    }

    /// The error of a call whose deadline passes in this state.
    pub(super) fn overdue(&self) -> MeshError {
        const KIND: MeshErrorKind = MeshErrorKind::DeadlineExceeded;
        match self {
            Self::Configure(_, context, _) => {
                context.error(KIND, "deadline exceeded while there was no configuration")
            }
            Self::Hold(Some(held)) => {
                let reason = "deadline exceeded while a filter held the call";
                held.passage.routed.cluster.error(KIND, reason)
            }
            Self::Hold(None) | Self::Replied(_) => MeshError::new(KIND, "deadline exceeded"),
        }
    }

    /// The call fails in this state: its observers learn of the error.
    pub(super) fn fail(&self, error: &MeshError) {
        let observed = match self {
            Self::Configure(_, _, observed) => observed.as_ref(),
            Self::Hold(held) => held.as_ref().and_then(|held| held.passage.observed.as_ref()),
            Self::Replied(_) => None,
        };
        if let Some(observed) = observed {
            observed.end(P::code(error));
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Configure(..) => "waiting for a configuration",
            Self::Hold(_) => "held by a filter",
            Self::Replied(_) => "answered by a filter",
        }
    }
}

/// The parts of a call whose filters have not run yet.
pub(super) struct Draft<P: Protocol, C: Connect> {
    pub(super) routed: Routed<C>,
    pub(super) request: Request<P::Body>,
    pub(super) deadline: Option<Instant>,
    pub(super) wait_for_ready: WaitForReady,
    pub(super) limits: RetryLimits,
    /// `None`: it is not observed.
    pub(super) observed: Option<Arc<ObservedCall>>,
}

impl<P: Protocol, C: Connect> Draft<P, C> {
    /// Runs the filters of the route on the request, if there are any (HF-04).
    #[inline(always)]
    pub(super) fn filter(mut self) -> Filtered<P, C> {
        let Some(filters) = self.routed.filters.take() else {
            return self.pass(None);
        };
        Passage::new(self, filters).begin()
    }

    /// Begins the call: it has passed its filters.
    #[inline(always)]
    fn pass(self, filters: Option<Box<ResponseFilters>>) -> Filtered<P, C> {
        let Self { routed, mut request, deadline, wait_for_ready, limits, observed } = self;
        if let Some(features) = &routed.features {
            let context = &routed.cluster.context;
            request = match features.of_route.rewrite(request, &context.target.authority) {
                Ok(request) => request,
                Err(invalid) => {
                    let kind = MeshErrorKind::MalformedRequest;
                    let error = routed.cluster.error(kind, invalid.to_string());
                    if let Some(observed) = observed {
                        observed.end(P::code(&error));
                    }
                    return Filtered::Failed(error);
                }
            };
        }
        Filtered::Passed(Call::new(routed, request, deadline, wait_for_ready, limits, (filters, observed)))
    }
}

/// A call while its filters run. The request's head is apart from the body, since filters change it.
struct Passage<P: Protocol, C: Connect> {
    routed: Routed<C>,
    head: Parts,
    body: P::Body,
    deadline: Option<Instant>,
    wait_for_ready: WaitForReady,
    limits: RetryLimits,
    filters: CallFilters,
    observed: Option<Arc<ObservedCall>>,
}

impl<P: Protocol, C: Connect> Passage<P, C> {
    fn new(draft: Draft<P, C>, filters: Arc<RouteFilters>) -> Self {
        let Draft { routed, request, deadline, wait_for_ready, limits, observed } = draft;
        let (head, body) = request.into_parts();
        let filters = CallFilters::new(filters, None);
        Self { routed, head, body, deadline, wait_for_ready, limits, filters, observed }
    }

    fn begin(mut self) -> Filtered<P, C> {
        let Self { routed, head, filters, .. } = &mut self;
        let randomness = &routed.cluster.context.randomness;
        let progress = randomness.with(|rng| filters.on_request(head, rng));
        self.go_on(progress)
    }

    fn resume(mut self, with: Resume) -> Filtered<P, C> {
        let Self { routed, head, filters, .. } = &mut self;
        let randomness = &routed.cluster.context.randomness;
        let progress = randomness.with(|rng| filters.resume(with, head, rng));
        self.go_on(progress)
    }

    fn go_on(self, progress: Progress) -> Filtered<P, C> {
        match progress {
            Progress::Passed => {
                let Self { routed, head, body, deadline, wait_for_ready, limits, filters, observed } = self;
                let filters = ResponseFilters::of(filters, &routed);
                let request = Request::from_parts(head, body);
                let draft = Draft { routed, request, deadline, wait_for_ready, limits, observed };
                draft.pass(filters)
            }
            Progress::Reply(reply) => Filtered::Replied(Box::new(self.reply(reply))),
            Progress::Wait(until) => Filtered::Held(Box::new(Held { until, passage: self })),
        }
    }

    /// Makes the response of a reply. Filters that have seen the request see the reply, too.
    fn reply(self, reply: LocalReply) -> Response<()> {
        let (mut head, ()) = P::local_reply(reply).into_parts();
        if let Some(mut filters) = ResponseFilters::of(self.filters, &self.routed) {
            filters.on_response(&mut head);
        }
        let reply = Response::from_parts(head, ());
        if let Some(observed) = self.observed {
            observed.end_with_reply::<P, _>(&reply);
        }
        reply
    }
}

/// A call that waits for a filter. Dropping it drops the filter's future.
pub(super) struct Held<P: Protocol, C: Connect> {
    until: BoxedFuture<Resume>,
    passage: Passage<P, C>,
}
