//! Calls: authority, path, route, filters and deadline.

use std::sync::Arc;
use std::time::Duration;

use http::header::{HOST, HeaderValue};
use mesh_core::config::{
    AppendAction, DomainPattern, FilterInstance, FilterOverride, HeaderMutation, HeaderMutations,
    MutationOrder, Route, RouteAction, RouteMatch, ServerChain, ServerConfig, ServerRoutes, VirtualHost,
};
use mesh_core::filter::{
    BuildError, FilterCall, FilterConfig, FilterContext, HeaderMutationConfig, HttpFilter, LocalReply,
    Overrides, RequestAction, Resume,
};
use mesh_tonic::{FixedServer, ServerSettings};
use tonic::Code;

use crate::raw::{Ending, Raw, call_path, get};
use crate::{Running, asking, call};

fn host(domains: &[&str], action: RouteAction) -> VirtualHost {
    let domains = domains.iter().map(|domain| DomainPattern::parse(domain).unwrap()).collect();
    VirtualHost::new("v", domains, vec![Route::new(RouteMatch::any(), action).into()])
}

async fn serve(chain: ServerChain) -> Running {
    let config = FixedServer::new(ServerConfig::of_chain(chain).unwrap());
    Running::start("a", &config, ServerSettings::default()).await
}

/// Proves: SV-18, RT-21.
#[tokio::test]
async fn only_routes_for_servers_lead_to_the_application() {
    let routes = ServerRoutes::new([
        host(&["served.example"], RouteAction::NonForwarding),
        host(&["redirected.example"], RouteAction::Unsupported("redirect")),
        VirtualHost::new("empty", vec![DomainPattern::parse("empty.example").unwrap()], Vec::new()),
    ]);
    let server = serve(ServerChain::new(routes)).await;
    let rows = [
        ("served.example", Code::Ok),
        ("redirected.example", Code::Unavailable),
        ("empty.example", Code::Unavailable),
        ("other.example", Code::Unavailable),
    ];
    let mut raw = Raw::connect(server.address).await;
    for (authority, expected) in rows {
        let request = get(authority, "/mesh.examples.v1.Greeter/SayHello", &[]);
        assert_eq!(raw.code(request).await, Some(expected), "{authority}");
    }
}

/// Refuses what it sees under a name or a path, and says what it has seen.
#[derive(Debug, PartialEq)]
struct Deny {
    host: &'static str,
    path: &'static str,
}

impl FilterConfig for Deny {
    fn build(&self, _: Overrides<'_>, _: &FilterContext) -> Result<Option<Arc<dyn HttpFilter>>, BuildError> {
        Ok(Some(Arc::new(Self { ..*self })))
    }
}

impl HttpFilter for Deny {
    fn on_request(&self, head: &mut http::request::Parts, call: &mut FilterCall<'_>) -> RequestAction {
        assert!(call.peer().is_some_and(|peer| peer.remote.ip().is_loopback()), "the client is known");
        assert!(!head.headers.contains_key(HOST));
        assert_eq!(call.authority(), head.uri.authority().map_or("", |authority| authority.as_str()));
        match call.authority() == self.host || head.uri.path() == self.path {
            true => RequestAction::Reply(LocalReply::grpc(Code::PermissionDenied as u32, "denied")),
            false => RequestAction::Continue,
        }
    }
}

fn denying(host: &'static str, path: &'static str) -> ServerChain {
    ServerChain::new(ServerRoutes::all()).with_filters([FilterInstance::new("deny", Deny { host, path })])
}

const METHOD: &str = "/mesh.examples.v1.Greeter/SayHello";

/// B2: a path that the rule does not match never reaches the handler under another spelling.
#[tokio::test]
async fn variants_of_a_denied_path_reach_no_handler() {
    let server = serve(denying("", METHOD)).await;
    let mut raw = Raw::connect(server.address).await;
    let rows = [
        (METHOD.to_owned(), Some(Code::PermissionDenied)),
        ("//mesh.examples.v1.Greeter/SayHello".to_owned(), Some(Code::Unimplemented)),
        (format!("{METHOD}?x"), Some(Code::Unimplemented)),
        (format!("{METHOD}/"), Some(Code::Unimplemented)),
        ("/mesh.examples.v1.Greeter/Say%48ello".to_owned(), Some(Code::Unimplemented)),
        ("/mesh.examples.v1.Greeter".to_owned(), Some(Code::Unimplemented)),
        ("/mesh.examples.v1.Greeter/SayHellos".to_owned(), Some(Code::Ok)),
    ];
    for (path, expected) in rows {
        assert_eq!(raw.code(get("a.example", &path, &[])).await, expected, "{path}");
    }
    // Bytes that no library sends: a fragment is no part of the path, and without a slash there is none.
    assert_eq!(call_path(server.address, "mesh.examples.v1.Greeter/SayHello").await, Ending::Reset);
    assert_eq!(call_path(server.address, &format!("{METHOD}#x")).await, Ending::Replied);
    assert_eq!(call_path(server.address, "/mesh.examples.v1.Greeter/SayHellos").await, Ending::Served);
}

/// B7: the case, the final dot and the header in which a name comes do not matter.
#[tokio::test]
async fn denied_host_is_denied_in_every_spelling() {
    let server = serve(denying("admin.example", "")).await;
    let mut raw = Raw::connect(server.address).await;
    for authority in ["admin.example", "Admin.Example", "admin.example."] {
        let code = raw.code(get(authority, METHOD, &[])).await;
        assert_eq!(code, Some(Code::PermissionDenied), "{authority}");
    }
    // the port is a part of the name
    assert_eq!(raw.code(get("admin.example:50051", METHOD, &[])).await, Some(Code::Ok));
    // :authority wins, and host is dropped
    let both = |host: &'static str, authority| get(authority, METHOD, &[("host", host)]);
    assert_eq!(raw.code(both("admin.example", "other.example")).await, Some(Code::Ok));
    assert_eq!(raw.code(both("other.example", "admin.example")).await, Some(Code::PermissionDenied));
    let only = |hosts: &[&'static str]| {
        let headers: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
        get("", METHOD, &headers)
    };
    assert_eq!(raw.code(only(&["Admin.Example"])).await, Some(Code::PermissionDenied));
    assert_eq!(raw.code(only(&["other.example"])).await, Some(Code::Ok));
    assert_eq!(raw.code(only(&["other.example", "admin.example"])).await, Some(Code::Internal));
}

/// Waits before it lets a call pass; a call may ask it to reply instead.
#[derive(Debug, PartialEq)]
struct Slow;

impl FilterConfig for Slow {
    fn build(&self, _: Overrides<'_>, _: &FilterContext) -> Result<Option<Arc<dyn HttpFilter>>, BuildError> {
        Ok(Some(Arc::new(Self)))
    }
}

impl HttpFilter for Slow {
    fn on_request(&self, head: &mut http::request::Parts, _: &mut FilterCall<'_>) -> RequestAction {
        let refuses = head.headers.contains_key("x-refuse");
        RequestAction::wait(async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            match refuses {
                true => Resume::Reply(LocalReply::grpc(Code::Aborted as u32, "refused late")),
                false => Resume::change(|head| {
                    _ = head.headers.insert("rpc-behavior", HeaderValue::from_static("error-code-9"))
                }),
            }
        })
    }
}

/// Filters run in order, with the route's override before that of the virtual host, and see the response.
///
/// Proves: HF-02.
#[tokio::test]
async fn filters_of_a_server_run_with_the_overrides_of_its_routes() {
    let set = |value: &'static str| {
        let name = http::HeaderName::from_static("x-set");
        let value = HeaderValue::from_static(value);
        HeaderMutations::new()
            .response(HeaderMutation::set(name, value, AppendAction::OverwriteIfExistsOrAdd).unwrap())
    };
    let mutation = |value| HeaderMutationConfig::new(set(value), MutationOrder::default());
    let mut at = host(&["*"], RouteAction::NonForwarding);
    at.filters = at.filters.with("slow", FilterOverride::Disabled);
    let mut slow = Route::new(RouteMatch::any(), RouteAction::NonForwarding);
    slow.matches.headers = vec![crate::raw::has_header("x-slow")];
    slow.filters = slow.filters.with("slow", FilterOverride::Enabled);
    at.routes.insert(0, slow.into());
    let filters = [FilterInstance::new("set", mutation("yes")), FilterInstance::new("slow", Slow)];
    let server = serve(ServerChain::new(ServerRoutes::new([at])).with_filters(filters)).await;
    let mut client = server.client();
    let reply = client.say_hello(asking("sleep-1ms")).await.unwrap();
    assert_eq!(reply.metadata().get("x-set").unwrap(), "yes");
    let mut request = asking("sleep-1ms");
    request.metadata_mut().insert("x-slow", "1".parse().unwrap());
    let status = client.say_hello(request).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "the filter has changed the request");
    assert_eq!(status.metadata().get("x-set").unwrap(), "yes");
    let mut request = asking("sleep-1ms");
    request.metadata_mut().insert("x-slow", "1".parse().unwrap());
    request.metadata_mut().insert("x-refuse", "1".parse().unwrap());
    let status = client.say_hello(request).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Aborted, "refused late"));
    assert_eq!(status.metadata().get("x-set").unwrap(), "yes", "an earlier filter sees the reply");
}

#[tokio::test]
async fn server_keeps_the_deadline_of_a_call() {
    let server = serve(ServerChain::new(ServerRoutes::all())).await;
    let mut raw = Raw::connect(server.address).await;
    let request = get("a", METHOD, &[("grpc-timeout", "20m"), ("rpc-behavior", "keep-open")]);
    assert_eq!(raw.code(request).await, Some(Code::DeadlineExceeded));
    // a stream that has begun ends with the same status
    let chat = get("a", "/mesh.examples.v1.Greeter/Chat", &[("grpc-timeout", "20m")]);
    assert_eq!(raw.code_of_open_stream(chat).await, Some(Code::DeadlineExceeded));
}

#[tokio::test]
async fn listener_limits_the_time_of_calls() {
    let mut chain = ServerChain::new(ServerRoutes::all());
    chain.http.max_stream_duration = Some(Duration::from_millis(20));
    let server = serve(chain).await;
    let status = server.client().say_hello(asking("keep-open")).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(call(&mut server.client()).await.unwrap(), "a");
}
