//! A filter in the place of one that could not be made.

use http::{StatusCode, request};

use super::{BuildError, FilterCall, HttpFilter, LocalReply, RequestAction, Stages};

/// Fails every call: the filter that should stand here could not be made, and may have been there to protect something.
#[derive(Debug)]
pub(super) struct Refusal {
    message: String,
}

impl Refusal {
    pub(super) fn new(filter: &str, error: &BuildError) -> Self {
        Self { message: format!("filter {filter:?} cannot be made: {error}") }
    }
}

impl HttpFilter for Refusal {
    fn stages(&self) -> Stages {
        Stages::REQUEST
    }

    fn on_request(&self, _: &mut request::Parts, _: &mut FilterCall<'_>) -> RequestAction {
        RequestAction::Reply(LocalReply::http(StatusCode::SERVICE_UNAVAILABLE, self.message.clone()))
    }
}
