//! The start of mirrored requests.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use http::Request;
use http::uri::Authority;
use http_body::Body;
use tokio::time::Instant;

use crate::config::{MirrorHost, RoutingPriority};
use crate::filter::CallPath;
use crate::policy::retry::{MaxAttempts, RetryBudget};
use crate::runtime::call::Call;
use crate::runtime::connect::Connect;
use crate::runtime::head_copy::HeadCopy;
use crate::runtime::retry::RetryLimits;
use crate::runtime::target::{Cluster, Routed, TargetContext, set_authority};
use crate::runtime::{Protocol, ReplayRoom, ResponseFuture, WaitForReady};
use crate::sharded::Ref;

use super::MirrorRoom;
use super::protocol::Mirrored;
use super::tap::{MirrorBody, Taps};

/// Where a call is mirrored to: drawn when the call is routed.
pub(crate) struct MirrorTarget<C: Connect> {
    pub(crate) path: Ref<CallPath>,
    pub(crate) cluster: Ref<Cluster<C>>,
    pub(crate) host: MirrorHost,
}

/// The mirrors of a call that has not been sent yet.
pub(crate) struct Mirrors {
    /// Copies the call's body for them.
    taps: Option<Box<Taps>>,
    starts: Vec<Box<dyn FnOnce(HeadCopy) + Send>>,
}

impl Mirrors {
    /// The copies, for the call's body; the first time only.
    pub(crate) fn take_taps(&mut self) -> Option<Box<Taps>> {
        self.taps.take()
    }

    /// Sends the requests: the call's first attempt is about to be sent with this head.
    pub(crate) fn start<T>(self, request: &Request<T>) {
        for start in self.starts {
            start(HeadCopy::of_request(request));
        }
    }
}

impl fmt::Debug for Mirrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mirrors").field("requests", &self.starts.len()).finish_non_exhaustive()
    }
}

/// A mirrored request that runs. Dropping it makes room for another one.
struct Running(Arc<MirrorRoom>);

impl Running {
    /// `None`: as many as the limit run already.
    fn new(room: &Arc<MirrorRoom>) -> Option<Self> {
        if room.requests.take(1, room.limits.requests) {
            return Some(Self(room.clone()));
        }
        room.skipped.increment();
        None
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.requests.give_back(1);
    }
}

/// The mirrors of a call of the protocol `P` with this hash and deadline; `None`: there is no room for any.
pub(crate) fn prepare<P: Protocol, C: Connect>(
    targets: Vec<MirrorTarget<C>>,
    context: &Arc<TargetContext>,
    hash: Option<u64>,
    deadline: Option<Instant>,
) -> Option<Mirrors> {
    let room = &context.mirrors;
    let mut taps = Box::new(Taps::new());
    let mut starts: Vec<Box<dyn FnOnce(HeadCopy) + Send>> = Vec::new();
    for target in targets {
        let Some(running) = Running::new(room) else { continue };
        let body = taps.add(ReplayRoom::in_channel(room.bytes.own()));
        starts.push(Box::new(move |head| {
            running.0.sent.increment();
            let own = Instant::now() + running.0.limits.timeout;
            let deadline = deadline.map_or(own, |deadline| deadline.min(own));
            let runtime = target.cluster.context.deadlines.runtime().clone();
            let call = target.call::<P>(head, body, hash, deadline, &running.0);
            drop(runtime.spawn(run(call, deadline, running)));
        }));
    }
    (!starts.is_empty()).then(|| Mirrors { taps: Some(taps), starts })
}

impl<C: Connect> MirrorTarget<C> {
    fn call<P: Protocol>(
        self,
        head: HeadCopy,
        body: MirrorBody,
        hash: Option<u64>,
        deadline: Instant,
        room: &MirrorRoom,
    ) -> Call<Mirrored<P>, C> {
        let mut request = Request::from_parts(head.into_parts(), body);
        match self.host {
            MirrorHost::Suffixed => {
                let authority = request.uri().authority().map(shadow);
                if let Some(authority) = authority {
                    set_authority(&mut request, &authority);
                }
            }
            MirrorHost::Same => {}
            MirrorHost::Literal(authority) => set_authority(&mut request, authority.as_str()),
        }
        let routed = Routed { hash, ..Routed::to(self.path, self.cluster) };
        let limits = RetryLimits {
            attempts: MaxAttempts::default(),
            replay: room.bytes.own(),
            budget: RetryBudget::default(),
            priority: RoutingPriority::Default,
            tokens: None,
        };
        Call::new(routed, request, Some(deadline), WaitForReady(false), limits, (None, None))
    }
}

/// RT-65: `-shadow` follows the name, before the port.
fn shadow(authority: &Authority) -> String {
    match authority.port() {
        Some(port) => {
            let host = authority.as_str().strip_suffix(port.as_str()).and_then(|host| host.strip_suffix(':'));
            format!("{}-shadow:{port}", host.unwrap_or_else(|| authority.host()))
        }
        None => format!("{authority}-shadow"),
    }
}

/// Sends the request, and reads its response to the end.
async fn run<P: Protocol, C: Connect>(call: Call<P, C>, deadline: Instant, running: Running) {
    let response = ResponseFuture::<P, C>::of_call(call, Some(deadline)).await;
    if let Ok(response) = response {
        let mut body = response.into_body();
        while let Some(Ok(_)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {}
    }
    drop(running);
}
