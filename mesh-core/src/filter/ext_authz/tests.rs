//! What callers, endpoints and operators see of external authorization.

use std::sync::Mutex;
use std::time::Duration;

use http::{Request, Response};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::config::{
    AppendAction, FilterInstance, FilterOverride, FilterOverrides, HeaderMutations, MeshConfig,
};
use crate::counters::CounterStore;
use crate::filter::{
    CallFilters, CallPath, ChainCompiler, FilterScope, Level, LocalStatus, Progress, RouteFilters,
};
use crate::peer::Peer;
use crate::policy::matcher::{
    DynamicMetadata, Fraction, MetadataMatcher, StringMatcher, StringPattern, ValueMatcher,
};

/// A service that answers this, or never; remembers what it was asked.
#[derive(Debug)]
struct Fixed {
    answer: Option<Result<CheckAnswer, CheckError>>,
    asked: Arc<Mutex<Vec<CheckRequest>>>,
}

impl PartialEq for Fixed {
    fn eq(&self, other: &Self) -> bool {
        self.answer == other.answer
    }
}

impl CheckService for Fixed {
    fn check(&self, request: CheckRequest) -> CheckFuture {
        self.asked.lock().unwrap().push(request);
        let answer = self.answer.clone();
        Box::pin(async move {
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        })
    }
}

fn answers(answer: CheckAnswer) -> Option<Result<CheckAnswer, CheckError>> {
    Some(Ok(answer))
}

fn fails() -> Option<Result<CheckAnswer, CheckError>> {
    Some(Err(CheckError::new("unreachable")))
}

fn set(name: &'static str, value: &str) -> HeaderMutation {
    let value = HeaderValue::from_str(value).unwrap();
    HeaderMutation::set(HeaderName::from_static(name), value, AppendAction::OverwriteIfExistsOrAdd).unwrap()
}

fn named(name: &str) -> StringMatcher {
    StringMatcher { pattern: StringPattern::Exact(name.to_owned()), ignore_case: false }
}

/// A process with the filter, and what it counts.
struct Fixture {
    config: MeshConfig,
    scope: FilterScope,
    counters: Arc<CounterStore>,
    asked: Arc<Mutex<Vec<CheckRequest>>>,
}

impl Fixture {
    fn new(
        answer: Option<Result<CheckAnswer, CheckError>>,
        change: impl FnOnce(&mut ExtAuthzConfig),
    ) -> Self {
        let asked = Arc::default();
        let mut config = ExtAuthzConfig::new(Fixed { answer, asked: Arc::clone(&asked) });
        change(&mut config);
        let config = MeshConfig::to_endpoints("c", []).with_filters([FilterInstance::new("authz", config)]);
        let counters = Arc::new(CounterStore::default());
        Self { config, scope: FilterScope::new(counters.clone()), counters, asked }
    }

    /// `None`: no filter is left.
    fn filters(&self, overrides: &[FilterOverrides], peer: Option<Peer>) -> Option<CallFilters> {
        let headers = HeaderMutations::new();
        let levels: Vec<_> =
            overrides.iter().map(|filters| Level { name: "", filters, headers: &headers }).collect();
        let chain = ChainCompiler::new(&self.config, &self.scope).chain(&levels)?;
        let path = CallPath { route: "r".into(), cluster: "c".into(), authority: "svc".into() }.into();
        Some(CallFilters::new(Arc::new(RouteFilters { chain, path }), peer.map(Arc::new)))
    }

    /// The request's and the response's heads of a call that goes on, or the reply.
    async fn call(&self, peer: Option<Peer>) -> Result<(request::Parts, response::Parts), LocalReply> {
        let mut filters = self.filters(&[], peer).unwrap();
        let (mut head, mut rng) = (head(), StdRng::seed_from_u64(92));
        let mut progress = filters.on_request(&mut head, &mut rng);
        if let Progress::Wait(until) = progress {
            progress = filters.resume(until.await, &mut head, &mut rng);
        }
        match progress {
            Progress::Passed => {}
            Progress::Reply(reply) => return Err(reply),
            Progress::Wait(_) => panic!("waits twice"),
        }
        let (mut response, ()) = Response::new(()).into_parts();
        filters.on_response(&mut response, &mut rng);
        Ok((head, response))
    }

    fn counted(&self) -> Vec<String> {
        let counted = self.counters.values().into_iter().filter(|counter| counter.value > 0);
        counted.map(|counter| format!("{} {}", counter.labels.join(" "), counter.value)).collect()
    }
}

fn head() -> request::Parts {
    let request = Request::post("http://svc/pkg.Svc/Get?q=1").header("x-a", "1").header("x-secret", "2");
    let request = request.header("x-envoy-auth-failure-mode-allowed", "forged");
    request.body(()).unwrap().into_parts().0
}

fn forbidden(reply: &LocalReply) -> bool {
    reply.status == LocalStatus::Http(StatusCode::FORBIDDEN)
}

#[tokio::test]
async fn allowed_call_goes_on_with_the_headers_of_the_answer() {
    let (request, response) = (vec![set("x-user", "ann")], vec![set("x-checked", "yes")]);
    let fixture = Fixture::new(answers(CheckAnswer::Allowed { request, response }), |_| {});
    let (head, response) = fixture.call(None).await.unwrap();
    assert_eq!(head.headers["x-user"], "ann");
    assert_eq!(response.headers["x-checked"], "yes");
    assert_eq!(fixture.counted(), ["authz allowed 1"]);
}

/// The service learns what is called and who calls.
#[tokio::test]
async fn service_sees_the_call_and_its_client() {
    let fixture = Fixture::new(answers(CheckAnswer::allowed()), |_| {});
    let peer = Peer::new("10.0.0.1:4711".parse().unwrap(), "10.0.0.2:80".parse().unwrap());
    fixture.call(Some(peer.clone())).await.unwrap();
    let asked = fixture.asked.lock().unwrap().remove(0);
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/pkg.Svc/Get?q=1"));
    assert_eq!((asked.authority.as_str(), asked.peer), ("svc", Some(peer)));
    assert_eq!(asked.headers["x-secret"], "2");
}

#[tokio::test]
async fn denied_call_gets_status_text_and_headers_and_never_looks_like_success() {
    for (status, expected) in [(401, 401), (403, 403), (503, 503), (200, 403), (100, 403)] {
        let answer = CheckAnswer::Denied {
            status: StatusCode::from_u16(status).unwrap(),
            message: "who are you".to_owned(),
            headers: vec![set("www-authenticate", "Bearer")],
        };
        let fixture = Fixture::new(answers(answer), |config| config.on_failure = OnFailure::Allow);
        let reply = fixture.call(None).await.unwrap_err();
        assert_eq!(reply.status, LocalStatus::Http(StatusCode::from_u16(expected).unwrap()), "{status}");
        assert_eq!(&*reply.message, "who are you");
        assert_eq!(reply.headers["www-authenticate"], "Bearer");
        assert_eq!(fixture.counted(), ["authz denied 1"]);
    }
}

/// Proves: HF-31.
#[tokio::test(start_paused = true)]
async fn call_without_an_answer_is_refused_unless_configured_otherwise() {
    for (row, answer) in [("error", fails()), ("late", None)] {
        let fixture = Fixture::new(answer.clone(), |_| {});
        let reply = fixture.call(None).await.unwrap_err();
        assert!(forbidden(&reply) && !reply.message.contains("unreachable"), "{row}: {reply:?}");
        assert_eq!(fixture.counted(), ["authz failed 1"], "{row}");

        let unavailable =
            |config: &mut ExtAuthzConfig| config.status_on_error = StatusCode::SERVICE_UNAVAILABLE;
        let reply = Fixture::new(answer.clone(), unavailable).call(None).await.unwrap_err();
        assert_eq!(reply.status, LocalStatus::Http(StatusCode::SERVICE_UNAVAILABLE), "{row}");

        let fixture = Fixture::new(answer.clone(), |config| config.on_failure = OnFailure::Allow);
        assert!(fixture.call(None).await.is_ok(), "{row}");
        assert_eq!(fixture.counted(), ["authz failed_open 1"], "{row}");

        let fixture = Fixture::new(answer, |config| config.on_failure = OnFailure::AllowAndMark);
        let (head, _) = fixture.call(None).await.unwrap();
        assert_eq!(head.headers["x-envoy-auth-failure-mode-allowed"], "true", "{row}");
    }
    let mark = |config: &mut ExtAuthzConfig| config.on_failure = OnFailure::AllowAndMark;
    let (head, _) = Fixture::new(answers(CheckAnswer::allowed()), mark).call(None).await.unwrap();
    assert!(!head.headers.contains_key("x-envoy-auth-failure-mode-allowed"), "a caller forged the mark");
}

#[tokio::test]
async fn calls_above_the_limit_have_no_answer_and_the_limit_counts_calls_that_wait() {
    let one = |config: &mut ExtAuthzConfig| config.max_in_flight = 1.try_into().unwrap();
    let fixture = Fixture::new(None, one);
    let (mut waiting, mut rng) = (fixture.filters(&[], None).unwrap(), StdRng::seed_from_u64(1));
    let progress = waiting.on_request(&mut head(), &mut rng);
    assert!(matches!(progress, Progress::Wait(_)));
    assert!(forbidden(&fixture.call(None).await.unwrap_err()));
    assert_eq!(fixture.counted(), ["authz failed 1"]);
    drop(progress);
    let mut next = fixture.filters(&[], None).unwrap();
    assert!(matches!(next.on_request(&mut head(), &mut rng), Progress::Wait(_)));
}

/// Proves: HF-30.
#[tokio::test]
async fn filter_that_is_off_lets_calls_pass_or_refuses_them_as_configured() {
    let denies = || answers(CheckAnswer::denied(StatusCode::UNAUTHORIZED, "no"));
    let reply = Fixture::new(denies(), |_| {}).call(None).await.unwrap_err();
    assert_eq!(reply.status, LocalStatus::Http(StatusCode::UNAUTHORIZED), "all calls are checked by default");

    let off = |config: &mut ExtAuthzConfig| config.enabled = Fraction::per_million(0);
    let fixture = Fixture::new(denies(), off);
    assert!(fixture.call(None).await.is_ok());
    assert_eq!(fixture.counted(), ["authz unchecked 1"]);

    let deny = |config: &mut ExtAuthzConfig| {
        off(config);
        config.deny_at_disable = true;
    };
    assert!(forbidden(&Fixture::new(denies(), deny).call(None).await.unwrap_err()));
}

/// Proves: HF-32.
/// A call that is not meant is not asked about; it passes, or is refused like one of an inactive filter.
#[tokio::test]
async fn service_is_asked_about_the_calls_that_are_meant() {
    let denied =
        CheckAnswer::Denied { status: StatusCode::UNAUTHORIZED, message: String::new(), headers: Vec::new() };
    let only = || {
        let yes = ValueMatcher::Text(named("yes"));
        Some(MetadataMatcher::new("earlier", ["ask"], yes))
    };
    let call = async |fixture: &Fixture, ask: Option<&str>| {
        let mut filters = fixture.filters(&[], None).unwrap();
        let (mut head, mut rng) = (head(), StdRng::seed_from_u64(92));
        if let Some(ask) = ask {
            let metadata = head.extensions.get_or_insert_default::<DynamicMetadata>();
            metadata.insert("earlier", "ask", ask.into());
        }
        match filters.on_request(&mut head, &mut rng) {
            Progress::Passed => "passed",
            Progress::Reply(_) => "refused",
            Progress::Wait(_) => "asked",
        }
    };
    let fixture = Fixture::new(answers(denied), |config| config.only = only());
    assert_eq!(call(&fixture, Some("yes")).await, "asked");
    assert_eq!(call(&fixture, Some("no")).await, "passed");
    assert_eq!(call(&fixture, None).await, "passed");
    let strict = Fixture::new(fails(), |config| (config.only, config.deny_at_disable) = (only(), true));
    assert_eq!(call(&strict, Some("no")).await, "refused");
    assert_eq!(call(&strict, Some("yes")).await, "asked");
}

#[tokio::test]
async fn service_sees_allowed_headers_that_are_not_disallowed() {
    type Names = &'static [&'static str];
    let rows: [(Option<Names>, Names, Names); 4] = [
        (None, &[], &["x-a", "x-secret"]),
        (None, &["x-secret"], &["x-a"]),
        (Some(&["x-a"]), &[], &["x-a"]),
        (Some(&["x-a", "x-secret"]), &["x-a"], &["x-secret"]),
    ];
    for (allowed, disallowed, expected) in rows {
        let list = |names: &[&str]| names.iter().map(|name| named(name)).collect::<Vec<_>>();
        let fixture = Fixture::new(answers(CheckAnswer::allowed()), |config| {
            config.allowed_headers = allowed.map(list);
            config.disallowed_headers = list(disallowed);
        });
        fixture.call(None).await.unwrap();
        let asked = fixture.asked.lock().unwrap().remove(0);
        let seen = asked.headers.keys().map(HeaderName::as_str).filter(|name| !name.contains("envoy"));
        let mut seen: Vec<_> = seen.collect();
        seen.sort_unstable();
        assert_eq!(seen, expected, "{allowed:?} {disallowed:?}");
    }
}

/// Proves: SEC-11.
#[tokio::test]
async fn answer_changes_only_the_headers_that_the_rules_allow() {
    let rules = || MutationRules { disallowed: Some(named("x-b")), ..MutationRules::default() };
    let only_a = || MutationRules { allowed: Some(named("x-a")), ..MutationRules::default() };
    let both = MutationRules { disallowed: Some(named("x-a")), ..only_a() };
    let nothing = MutationRules { disallow_all: true, disallow_is_error: true, ..MutationRules::default() };
    let strict = MutationRules { disallow_is_error: true, ..rules() };
    let rows: [(&str, MutationRules, Option<&[&str]>); 6] = [
        ("no rules", MutationRules::default(), Some(&["x-a=new", "x-b=new"])),
        ("disallowed", rules(), Some(&["x-a=new"])),
        ("allowed", only_a(), Some(&["x-a=new"])),
        ("disallowed before allowed", both, Some(&["x-a=1"])),
        ("nothing, silently", nothing, Some(&["x-a=1"])),
        ("error", strict, None),
    ];
    for (row, rules, expected) in rows {
        let request = vec![set("x-a", "new"), set("x-b", "new"), set("x-long", &"v".repeat(16_385))];
        let answer = answers(CheckAnswer::Allowed { request, response: Vec::new() });
        let fixture = Fixture::new(answer, |config| {
            config.mutation_rules = rules;
            config.on_failure = OnFailure::Allow;
        });
        let result = fixture.call(None).await;
        let Some(expected) = expected else {
            let status = result.unwrap_err().status;
            assert_eq!(status, LocalStatus::Http(StatusCode::INTERNAL_SERVER_ERROR), "{row}");
            assert_eq!(fixture.counted(), ["authz invalid 1"], "{row}");
            continue;
        };
        let (head, _) = result.unwrap();
        let value = |name: &str| format!("{name}={}", head.headers[name].to_str().unwrap());
        let found: Vec<_> =
            ["x-a", "x-b"].into_iter().filter(|name| head.headers.contains_key(*name)).map(value).collect();
        assert!(!head.headers.contains_key("x-long"), "{row}");
        assert_eq!(found, expected, "{row}");
    }
}

#[tokio::test]
async fn routes_switch_the_check_off_or_add_to_what_the_service_is_told() {
    let fixture = Fixture::new(answers(CheckAnswer::allowed()), |_| {});
    let with = |own| FilterOverrides::new().with("authz", FilterOverride::config(own));
    let says = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter().map(|(key, value)| (Name::from(*key), Name::from(*value)));
        with(ExtAuthzOverride::ContextExtensions(pairs.collect()))
    };
    let off = || with(ExtAuthzOverride::Disabled);
    assert!(fixture.filters(&[says(&[]), off()], None).is_none());
    let overrides = [says(&[("a", "host"), ("b", "host")]), says(&[("a", "route")])];
    let mut filters = fixture.filters(&overrides, None).unwrap();
    let progress = filters.on_request(&mut head(), &mut StdRng::seed_from_u64(1));
    let Progress::Wait(until) = progress else { panic!("no check") };
    assert!(matches!(until.await, Resume::Continue));
    let asked = fixture.asked.lock().unwrap().remove(0);
    let told: Vec<_> = asked.context_extensions.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(told, ["a=route", "b=host"]);
    assert!(fixture.filters(&[off(), says(&[])], None).is_some(), "the most specific level decides");
}

#[test]
fn equal_configurations_compare_equal() {
    let config = |answer| ExtAuthzConfig::new(Fixed { answer, asked: Arc::default() });
    assert_eq!(config(None), config(None));
    assert_ne!(config(None), config(fails()));
    assert_ne!(config(None), ExtAuthzConfig { timeout: Duration::from_secs(9), ..config(None) });
}
