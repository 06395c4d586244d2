//! Chains: which filters a call passes, in which order, with which overrides.

mod chains;
mod mutations;
mod rate_limit;
mod states;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, request, response};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::config::{FilterInstance, FilterOverride, FilterOverrides, HeaderMutations, MeshConfig};

/// Writes its text into `x-trace` at every stage.
#[derive(Debug, Clone, PartialEq)]
struct Trace(&'static str);

/// An override of [`Trace`]: the text in place of its own.
#[derive(Debug, PartialEq)]
struct Instead(&'static str);

impl FilterConfig for Trace {
    fn build(
        &self,
        overrides: Overrides<'_>,
        _: &FilterContext,
    ) -> Result<Option<Arc<dyn HttpFilter>>, BuildError> {
        let text = overrides.most_specific::<Instead>()?.map_or(self.0, |instead| instead.0);
        Ok((!text.is_empty()).then(|| Arc::new(Self(text)) as _))
    }
}

impl Trace {
    fn write(&self, headers: &mut HeaderMap, call: &mut FilterCall<'_>) {
        let state = call.state();
        let seen = state.get::<usize>().copied().unwrap_or_default() + 1;
        state.insert(seen);
        let text = HeaderValue::from_str(&format!("{}{seen}", self.0)).unwrap();
        headers.append("x-trace", text);
    }
}

impl HttpFilter for Trace {
    fn on_request(&self, head: &mut request::Parts, call: &mut FilterCall<'_>) -> RequestAction {
        if head.headers.get("x-stop").is_some_and(|stop| stop == self.0) {
            return RequestAction::Reply(LocalReply::http(StatusCode::IM_A_TEAPOT, self.0));
        }
        if head.headers.get("x-wait").is_some_and(|wait| wait == self.0) {
            return RequestAction::wait(async {
                Resume::change(|head| _ = head.headers.insert("x-waited", HeaderValue::from_static("yes")))
            });
        }
        self.write(&mut head.headers, call);
        RequestAction::Continue
    }

    fn on_response(&self, head: &mut response::Parts, call: &mut FilterCall<'_>) {
        self.write(&mut head.headers, call);
    }

    fn on_trailers(&self, trailers: &mut HeaderMap, call: &mut FilterCall<'_>) {
        self.write(trailers, call);
    }
}

fn rng() -> StdRng {
    StdRng::seed_from_u64(39)
}

fn level<'a>(filters: &'a FilterOverrides, headers: &'a HeaderMutations) -> Level<'a> {
    Level { name: "", filters, headers }
}

fn with_filters(filters: Vec<FilterInstance>) -> MeshConfig {
    MeshConfig::to_endpoints("c", []).with_filters(filters)
}

/// A call of a chain, which must not be empty.
fn call(chain: Option<Arc<super::chain::FilterChain>>) -> CallFilters {
    let path = CallPath { route: "r".into(), cluster: "c".into(), authority: "a".into() }.into();
    CallFilters::new(Arc::new(RouteFilters { chain: chain.unwrap(), path }), None)
}

fn head(headers: &[(&'static str, &'static str)]) -> request::Parts {
    let (mut head, ()) = Request::new(()).into_parts();
    for (name, value) in headers {
        head.headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    head
}

fn response_head() -> response::Parts {
    Response::new(()).into_parts().0
}

fn trace(headers: &HeaderMap) -> String {
    let values = headers.get_all("x-trace").iter().map(|value| value.to_str().unwrap());
    values.collect::<Vec<_>>().join(" ")
}
