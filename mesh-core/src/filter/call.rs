//! One call as the filters of a chain see it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::{Extensions, HeaderMap, request, response};
use rand::Rng;

use crate::config::{EndpointAddresses, Name};
use crate::peer::Peer;
use crate::policy::matcher::Fraction;

use super::chain::{FilterChain, Link};
use super::{LocalReply, LostSession, RequestAction, Resume, Stages};

/// One call, as one filter of the chain sees it.
pub struct FilterCall<'a> {
    path: &'a CallPath,
    peer: Option<&'a Peer>,
    rng: &'a mut dyn Rng,
    states: &'a mut CallStates,
    /// The filter's position in the chain.
    position: usize,
    preferred: &'a mut Option<Box<PreferredEndpoint>>,
    answered: Option<&'a AnsweredBy<'a>>,
}

/// Reads the addresses of the endpoint that has answered.
pub(crate) type AnsweredBy<'a> = dyn Fn() -> EndpointAddresses + 'a;

impl FilterCall<'_> {
    /// The name of the route that took the call, or its path where it has none.
    pub fn route(&self) -> &str {
        &self.path.route
    }

    /// The cluster that takes the call.
    pub fn cluster(&self) -> &str {
        &self.path.cluster
    }

    /// The client, on a server; `None` on a client.
    pub fn peer(&self) -> Option<&Peer> {
        self.peer
    }

    /// The authority by which the route was found: the target's.
    pub fn authority(&self) -> &str {
        &self.path.authority
    }

    /// The addresses of the endpoint that has answered, the one that was used first. Known with the response's head only, and
    /// neither on a server nor for a filter's reply.
    pub fn endpoint(&self) -> Option<EndpointAddresses> {
        self.answered.map(|addresses| addresses())
    }

    /// The call goes to the endpoint that has one of these addresses, if it can. Has an effect with the request's head only.
    pub fn prefer_endpoint(&mut self, addresses: &EndpointAddresses, lost: LostSession) {
        let preferred = PreferredEndpoint { addresses: addresses.clone(), lost };
        *self.preferred = Some(Box::new(preferred));
    }

    /// A random number from the mesh's own source; a mesh with the same seed draws the same.
    pub fn random(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// One draw: true for this share of calls.
    pub fn draw(&mut self, share: Fraction) -> bool {
        share.draw(self.rng)
    }

    /// What this filter keeps of this call from one stage to the next. Each filter of a chain has its own.
    pub fn state(&mut self) -> &mut Extensions {
        self.states.of(self.position)
    }

    pub(super) fn rng(&mut self) -> &mut dyn Rng {
        self.rng
    }
}

impl fmt::Debug for FilterCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}

/// Where calls go that share a chain.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CallPath {
    pub(crate) route: Name,
    pub(crate) cluster: Name,
    pub(crate) authority: Name,
}

/// A chain and where its calls go: compiled once for each route and cluster.
#[derive(Debug)]
pub(crate) struct RouteFilters {
    pub(crate) chain: Arc<FilterChain>,
    pub(crate) path: Arc<CallPath>,
}

/// What the filters of a chain keep of a call, by their positions. Allocates nothing until one keeps something.
#[derive(Debug, Default)]
struct CallStates(Vec<(usize, Extensions)>);

impl CallStates {
    fn of(&mut self, position: usize) -> &mut Extensions {
        let found = self.0.iter().position(|(known, _)| *known == position);
        let index = found.unwrap_or_else(|| {
            self.0.push((position, Extensions::new()));
            self.0.len() - 1
        });
        &mut self.0[index].1
    }
}

/// The endpoint that a call is to go to.
#[derive(Debug, Clone)]
pub(crate) struct PreferredEndpoint {
    pub(crate) addresses: EndpointAddresses,
    pub(crate) lost: LostSession,
}

/// A call's way through its chain.
#[derive(Debug)]
pub(crate) struct CallFilters {
    filters: Arc<RouteFilters>,
    peer: Option<Arc<Peer>>,
    states: CallStates,
    /// The endpoint that a filter wants the call to go to.
    preferred: Option<Box<PreferredEndpoint>>,
    /// How many filters the request has passed.
    passed: usize,
}

/// The state of a request in the chain.
pub(crate) enum Progress {
    /// It has passed all filters.
    Passed,
    /// A filter has ended the request with this reply.
    Reply(LocalReply),
    /// It goes on with [`CallFilters::resume`].
    Wait(Pin<Box<dyn Future<Output = Resume> + Send>>),
}

impl CallFilters {
    /// A call that has passed no filter yet. A server says who calls; a client has no peer.
    pub(crate) fn new(filters: Arc<RouteFilters>, peer: Option<Arc<Peer>>) -> Self {
        Self { filters, peer, states: CallStates::default(), preferred: None, passed: 0 }
    }

    /// Another call of the same chain.
    #[cfg(test)]
    pub(super) fn again(&self) -> Self {
        Self::new(self.filters.clone(), self.peer.clone())
    }

    /// The endpoint that a filter wants the call to go to.
    pub(crate) fn preferred(&self) -> Option<&PreferredEndpoint> {
        self.preferred.as_deref()
    }

    /// Whether some filter wants to see the response.
    pub(crate) fn see_response(&self) -> bool {
        self.filters.chain.stages().intersects(Stages::RESPONSE | Stages::TRAILERS)
    }

    /// Whether some filter wants to see the response's trailers.
    pub(crate) fn see_trailers(&self) -> bool {
        self.filters.chain.stages().intersects(Stages::TRAILERS)
    }

    /// Takes the request through the filters that it has not passed yet, in the order of the list (HF-04).
    pub(crate) fn on_request(&mut self, head: &mut request::Parts, rng: &mut dyn Rng) -> Progress {
        let Self { filters, peer, states, preferred, passed } = self;
        while let Some(filter) = filters.chain.get(*passed) {
            if filter.wants(Stages::REQUEST) {
                let call = &mut FilterCall {
                    path: &filters.path,
                    peer: peer.as_deref(),
                    rng,
                    states,
                    position: *passed,
                    preferred,
                    answered: None,
                };
                match filter.filter.on_request(head, call) {
                    RequestAction::Continue => {}
                    // only the filters before this one see the reply, as with nested interceptors in gRPC
                    RequestAction::Reply(reply) => return Progress::Reply(reply),
                    RequestAction::Wait(until) => return Progress::Wait(until),
                }
            }
            *passed += 1;
        }
        Progress::Passed
    }

    /// The filter that waited has come to its end.
    pub(crate) fn resume(&mut self, with: Resume, head: &mut request::Parts, rng: &mut dyn Rng) -> Progress {
        match with {
            Resume::Continue => {}
            Resume::Change(change) => change(head),
            Resume::Reply(reply) => return Progress::Reply(reply),
        }
        self.passed += 1;
        self.on_request(head, rng)
    }

    /// Takes a response's head that no endpoint has sent back through the filters that the request has passed, the last first
    /// (HF-04).
    pub(crate) fn on_response(&mut self, head: &mut response::Parts, rng: &mut dyn Rng) {
        self.back(Stages::RESPONSE, None, rng, |filter, call| filter.filter.on_response(head, call));
    }

    /// Takes the head of an endpoint's response the same way.
    pub(crate) fn on_answer(
        &mut self,
        head: &mut response::Parts,
        answered: &AnsweredBy<'_>,
        rng: &mut dyn Rng,
    ) {
        let show = |filter: &Link, call: &mut FilterCall<'_>| filter.filter.on_response(head, call);
        self.back(Stages::RESPONSE, Some(answered), rng, show);
    }

    /// Takes the response's trailers the same way.
    pub(crate) fn on_trailers(&mut self, trailers: &mut HeaderMap, rng: &mut dyn Rng) {
        self.back(Stages::TRAILERS, None, rng, |filter, call| filter.filter.on_trailers(trailers, call));
    }

    fn back(
        &mut self,
        stage: Stages,
        answered: Option<&AnsweredBy<'_>>,
        rng: &mut dyn Rng,
        mut show: impl FnMut(&Link, &mut FilterCall<'_>),
    ) {
        let Self { filters, peer, states, preferred, passed } = self;
        let (path, peer) = (&*filters.path, peer.as_deref());
        for (position, filter) in filters.chain.first(*passed).iter().enumerate().rev() {
            if filter.wants(stage) {
                show(filter, &mut FilterCall { path, peer, rng, states, position, preferred, answered });
            }
        }
    }
}
