//! What an attempt occupies while it runs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::{HeaderMap, Response};
use http_body::Body;

use crate::config::Name;
use crate::policy::lb::EndpointLoad;

use super::Protocol;
use super::circuit_breaker::Admission;
use super::load_report::Recording;
use super::retry::RetryPermit;

/// What an attempt occupies, from the pick to the last byte of the response: a place in its cluster, one at its
/// endpoint, and a share of the retry budget. Dropping it gives all of it back.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) admission: Admission,
    pub(crate) endpoint: InFlightAt,
    pub(crate) _permit: Option<RetryPermit>,
    /// Where load is reported.
    pub(crate) recording: Option<Recording>,
}

impl Attempt {
    pub(crate) fn cluster(&self) -> &Name {
        &self.admission.load().cluster
    }

    /// The response's head has come.
    pub(crate) fn on_head<P: Protocol, T: Body>(&mut self, response: &Response<T>) {
        if let Some(recording) = &mut self.recording {
            let (status, headers) = (response.status(), response.headers());
            recording.on_head(status);
            if response.body().is_end_stream() || P::classify_head(status, headers).is_some() {
                recording.end(headers);
            }
        }
    }

    /// Something of the body has come; `trailers` are the last of it.
    pub(crate) fn on_frame<T: Body>(&mut self, trailers: Option<&HeaderMap>, body: &T) {
        if let Some(recording) = &mut self.recording {
            match trailers {
                Some(trailers) => recording.end(trailers),
                None if body.is_end_stream() => recording.end(&HeaderMap::new()),
                None => {}
            }
        }
    }

    /// The response has ended without trailers.
    pub(crate) fn on_end(&mut self) {
        if let Some(recording) = &mut self.recording {
            recording.end(&HeaderMap::new());
        }
    }
}

/// A call in flight at an endpoint.
#[derive(Debug)]
pub(crate) struct InFlightAt {
    load: Arc<EndpointLoad>,
    /// For error texts.
    pub(crate) address: SocketAddr,
}

impl InFlightAt {
    pub(crate) fn new(load: &Arc<EndpointLoad>, address: SocketAddr) -> Self {
        load.in_flight.fetch_add(1, Ordering::Relaxed);
        Self { load: load.clone(), address }
    }

    /// What identifies the endpoint.
    pub(crate) fn load(&self) -> &Arc<EndpointLoad> {
        &self.load
    }
}

impl Drop for InFlightAt {
    fn drop(&mut self) {
        self.load.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
