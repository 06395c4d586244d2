//! Filters of a user, on the way of real calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, request, response};
use mesh_core::Mesh;
use mesh_core::config::{FilterOverride, Forward, RouteAction, RouteMatch};
use mesh_core::filter::{
    BuildError, FilterCall, FilterConfig, FilterContext, HttpFilter, LocalReply, Overrides, RequestAction,
    Resume,
};
use mesh_core::runtime::FixedSource;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request};

use crate::config::{Config, with_retries};
use crate::endpoint::Endpoint;
use crate::{asking, call, client, eventually, hello};

/// Writes down what it sees, under its own name; says of a call how often it has been seen.
#[derive(Debug, Clone, PartialEq)]
struct Witness(&'static str);

impl FilterConfig for Witness {
    fn build(
        &self,
        _: Overrides<'_>,
        context: &FilterContext,
    ) -> Result<Option<Arc<dyn HttpFilter>>, BuildError> {
        assert_eq!(context.name(), self.0);
        Ok(Some(Arc::new(Seeing(self.0))))
    }
}

#[derive(Debug)]
struct Seeing(&'static str);

impl Seeing {
    fn note(&self, headers: &mut HeaderMap, call: &mut FilterCall<'_>) {
        let count = call.state().get::<u32>().copied().unwrap_or_default() + 1;
        call.state().insert(count);
        let text = format!("{} {count} {} {}", self.0, call.cluster(), call.authority());
        headers.append("x-seen", HeaderValue::from_str(&text).unwrap());
    }
}

impl HttpFilter for Seeing {
    fn on_request(&self, head: &mut request::Parts, call: &mut FilterCall<'_>) -> RequestAction {
        self.note(&mut head.headers, call);
        let wants = |what: &str| head.headers.get(HeaderName::from_bytes(what.as_bytes()).unwrap());
        if wants("x-reply").is_some_and(|who| who == self.0) {
            let mut reply = LocalReply::grpc(9, "not today: 100 %");
            reply.headers.insert("x-why", HeaderValue::from_static("asked for"));
            return RequestAction::Reply(reply);
        }
        if wants("x-wait").is_some_and(|who| who == self.0) {
            return RequestAction::wait(async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Resume::change(|head| _ = head.headers.insert("x-waited", HeaderValue::from_static("yes")))
            });
        }
        RequestAction::Continue
    }

    fn on_response(&self, head: &mut response::Parts, call: &mut FilterCall<'_>) {
        self.note(&mut head.headers, call);
    }

    fn on_trailers(&self, trailers: &mut HeaderMap, call: &mut FilterCall<'_>) {
        self.note(trailers, call);
    }
}

fn seen(metadata: &MetadataMap) -> Vec<String> {
    metadata.get_all("x-seen").iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

fn two(endpoint: &Endpoint, forward: Forward) -> Config {
    Config::default()
        .filter("a", Witness("a"))
        .filter("b", Witness("b"))
        .cluster("c", &[endpoint.address])
        .to(forward)
}

/// The filters come once per call, whatever the attempts.
///
/// Proves: HF-04.
#[tokio::test]
async fn filters_see_a_call_once_and_its_response_in_reverse() {
    let endpoint = Endpoint::start("e").await;
    let mut client = client(&Mesh::fixed(two(&endpoint, with_retries("c", 3)).build()));
    let request = asking("error-code-14,succeed-on-retry-attempt-2");
    let response = client.say_hellos(request).await.unwrap();
    let attempts = endpoint.take_seen();
    assert_eq!(attempts.len(), 3);
    for attempt in attempts {
        assert_eq!(seen(&attempt), ["a 1 c greeter", "b 1 c greeter"]);
    }
    assert_eq!(seen(response.metadata()), ["b 2 c greeter", "a 2 c greeter"]);
    let mut replies = response.into_inner();
    assert!(replies.message().await.unwrap().is_some());
    let trailers = replies.trailers().await.unwrap().unwrap();
    assert_eq!(seen(&trailers), ["b 3 c greeter", "a 3 c greeter"]);
}

#[tokio::test]
async fn response_that_ends_with_its_head_is_seen_once() {
    let endpoint = Endpoint::start("e").await;
    let mut client = client(&Mesh::fixed(two(&endpoint, Forward::to("c")).build()));
    let status = client.say_hello(asking("error-code-5")).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(seen(status.metadata()), ["b 2 c greeter", "a 2 c greeter"]);
}

#[tokio::test]
async fn reply_of_a_filter_is_the_callers_response() {
    let endpoint = Endpoint::start("e").await;
    let mut client = client(&Mesh::fixed(two(&endpoint, Forward::to("c")).build()));
    // once before there is a configuration in use, and once after
    for _ in 0..2 {
        let mut request = Request::new(hello("you"));
        request.metadata_mut().insert("x-reply", "b".parse().unwrap());
        let status = client.say_hello(request).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, "not today: 100 %"));
        assert_eq!(status.metadata().get("x-why").unwrap(), "asked for");
        assert_eq!(seen(status.metadata()), ["a 2 c greeter"], "only the filter before has seen it");
    }
    assert_eq!(endpoint.calls(), 0);
}

#[tokio::test]
async fn filter_that_waits_can_change_the_request() {
    let endpoint = Endpoint::start("e").await;
    let mut client = client(&Mesh::fixed(two(&endpoint, with_retries("c", 2)).build()));
    for _ in 0..2 {
        let mut request = Request::new(hello("you"));
        request.metadata_mut().insert("x-wait", "a".parse().unwrap());
        client.say_hello(request).await.unwrap();
        let sent = &endpoint.take_seen()[0];
        assert_eq!(sent.get("x-waited").unwrap(), "yes");
        assert_eq!(seen(sent), ["a 1 c greeter", "b 1 c greeter"]);
    }
}

/// A route whose filter cannot be made fails its calls; others are not concerned.
#[tokio::test]
async fn filter_with_an_override_of_another_type_fails_the_route() {
    #[derive(Debug, PartialEq)]
    struct Guard;

    impl FilterConfig for Guard {
        fn build(
            &self,
            overrides: Overrides<'_>,
            _: &FilterContext,
        ) -> Result<Option<Arc<dyn HttpFilter>>, BuildError> {
            overrides.most_specific::<Self>()?;
            Ok(None)
        }
    }

    let endpoint = Endpoint::start("e").await;
    let mut config = Config::default().filter("guard", Guard).cluster("c", &[endpoint.address]);
    config = config.action(RouteMatch::any(), RouteAction::Forward(Forward::to("c")));
    let mut route = (*config.routes[0]).clone();
    route.filters = route.filters.with("guard", FilterOverride::config("a text"));
    config.routes[0] = route.into();
    let status = call(&mut client(&Mesh::fixed(config.build()))).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("\"guard\""), "{status}");
    assert_eq!(endpoint.calls(), 0);
}

/// Counts its calls in a state that survives changes of its configuration.
#[derive(Debug, PartialEq)]
struct Counter(u32);

#[derive(Debug)]
struct Counting {
    version: u32,
    calls: Arc<AtomicUsize>,
}

impl FilterConfig for Counter {
    fn build(
        &self,
        _: Overrides<'_>,
        context: &FilterContext,
    ) -> Result<Option<Arc<dyn HttpFilter>>, BuildError> {
        Ok(Some(Arc::new(Counting { version: self.0, calls: context.state(AtomicUsize::default) })))
    }
}

impl HttpFilter for Counting {
    fn on_request(&self, head: &mut request::Parts, _: &mut FilterCall<'_>) -> RequestAction {
        let calls = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        head.headers.insert("x-version", self.version.into());
        head.headers.insert("x-calls", calls.into());
        RequestAction::Continue
    }
}

/// Proves: HF-06.
#[tokio::test]
async fn state_of_filters_survives_updates_of_running_channels() {
    let endpoint = Endpoint::start("e").await;
    let source = FixedSource::new();
    let version = |version| {
        let config = Config::default().filter("counter", Counter(version));
        config.cluster("c", &[endpoint.address]).to(Forward::to("c")).build()
    };
    source.set("greeter", version(1));
    let mut client = client(&Mesh::new(source.clone()));
    for _ in 0..3 {
        call(&mut client).await.unwrap();
    }
    source.set("greeter", version(2));
    let mut calls = 3;
    loop {
        call(&mut client).await.unwrap();
        calls += 1;
        if endpoint.take_seen().last().unwrap().get("x-version").unwrap() == "2" {
            break;
        }
        tokio::task::yield_now().await;
    }
    call(&mut client).await.unwrap();
    assert_eq!(endpoint.take_seen()[0].get("x-calls").unwrap(), &(calls + 1).to_string());
    eventually("all calls have ended", || endpoint.calls() == 0).await;
}
