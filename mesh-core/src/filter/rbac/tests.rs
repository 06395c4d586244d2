//! The filter: what callers, handlers, operators and audit loggers see of a decision.

use std::sync::{Arc, Mutex};

use http::{Request, request};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::config::{FilterInstance, FilterOverride, FilterOverrides, HeaderMutations, MeshConfig};
use crate::counters::CounterStore;
use crate::filter::{CallFilters, CallPath, ChainCompiler, FilterScope, Level, Progress, RouteFilters};
use crate::peer::{Peer, PeerIdentity, TlsPeer};
use crate::policy::matcher::{StringMatcher, StringPattern};
use crate::policy::rbac::{Permission, Principal, RbacPolicy};

fn rules(action: RbacAction, names: &[&str]) -> RbacRules {
    let policy = |name: &&str| {
        let id = StringMatcher {
            pattern: StringPattern::Exact(format!("spiffe://td/{name}")),
            ignore_case: false,
        };
        RbacPolicy::new(format!("only-{name}"), [Permission::Any], [Principal::Authenticated(Some(id))])
    };
    RbacRules::new(action, names.iter().map(policy))
}

fn peer(name: &str) -> Peer {
    let identity = PeerIdentity::new().with_uri_san(format!("spiffe://td/{name}"));
    let peer = Peer::new("10.0.0.1:4711".parse().unwrap(), "10.0.0.2:80".parse().unwrap());
    peer.with_tls(TlsPeer::new().with_identity(identity))
}

/// A server's filters in their order, and what they count.
struct Server {
    config: MeshConfig,
    scope: FilterScope,
    counters: Arc<CounterStore>,
}

impl Server {
    fn new(filters: Vec<(&'static str, RbacConfig)>) -> Self {
        let instances = filters.into_iter().map(|(name, config)| FilterInstance::new(name, config));
        let config = MeshConfig::to_endpoints("c", []).with_filters(instances.collect::<Vec<_>>());
        let counters = Arc::new(CounterStore::default());
        Self { config, scope: FilterScope::new(counters.clone()), counters }
    }

    /// The head of a call that is taken, or the reply.
    fn call(
        &self,
        overrides: &[FilterOverrides],
        peer: Option<Peer>,
    ) -> Result<request::Parts, Box<LocalReply>> {
        let headers = HeaderMutations::new();
        let levels: Vec<_> =
            overrides.iter().map(|filters| Level { name: "", filters, headers: &headers }).collect();
        let (mut head, ()) = Request::post("http://svc/pkg.Svc/Get").body(()).unwrap().into_parts();
        let Some(chain) = ChainCompiler::new(&self.config, &self.scope).chain(&levels) else {
            return Ok(head);
        };
        let path = CallPath { route: "r".into(), cluster: "".into(), authority: "svc".into() }.into();
        let mut filters = CallFilters::new(Arc::new(RouteFilters { chain, path }), peer.map(Arc::new));
        match filters.on_request(&mut head, &mut StdRng::seed_from_u64(41)) {
            Progress::Passed => Ok(head),
            Progress::Reply(reply) => Err(Box::new(reply)),
            Progress::Wait(_) => panic!("nothing waits"),
        }
    }

    fn counted(&self) -> Vec<String> {
        let line = |counter: crate::counters::CounterValue| {
            format!("{} {}", counter.labels.join(" ").trim_end(), counter.value)
        };
        self.counters.values().into_iter().map(line).collect()
    }
}

/// Proves: HF-19.
#[test]
fn refused_caller_learns_nothing_but_the_refusal() {
    let server = Server::new(vec![("deny", RbacConfig::new(rules(RbacAction::Deny, &["secret-policy"])))]);
    let reply = server.call(&[], Some(peer("secret-policy"))).unwrap_err();
    assert_eq!(reply.status, crate::filter::LocalStatus::Http(StatusCode::FORBIDDEN));
    assert_eq!(&*reply.message, "access denied");
    assert!(reply.headers.is_empty());
    assert!(server.call(&[], Some(peer("other"))).is_ok());
    assert_eq!(server.counted(), ["deny enforced allowed 1", "deny enforced denied only-secret-policy 1"]);
}

#[test]
fn handler_learns_which_policy_allowed_the_call() {
    let server = Server::new(vec![
        ("deny", RbacConfig::new(rules(RbacAction::Deny, &["b"]))),
        ("allow", RbacConfig::new(rules(RbacAction::Allow, &["a"]))),
    ]);
    let head = server.call(&[], Some(peer("a"))).unwrap();
    let expected = AllowedBy { filter: "allow".into(), policy: "only-a".into() };
    assert_eq!(head.extensions.get(), Some(&expected));
    assert!(server.call(&[], Some(peer("b"))).is_err());
    assert!(server.call(&[], Some(peer("c"))).is_err());
    let expected = [
        "allow enforced allowed 1",
        "allow enforced denied 1",
        "deny enforced allowed 2",
        "deny enforced denied only-b 1",
    ];
    let mut counted = server.counted();
    counted.sort();
    assert_eq!(counted, expected);
}

/// Case B5, (a).
/// Proves: HF-17.
#[test]
fn rules_that_are_absent_or_only_log_have_no_effect_and_overrides_replace_everything() {
    let allow_a = || RbacConfig::new(rules(RbacAction::Allow, &["a"]));
    let with = |config: Option<RbacConfig>| {
        FilterOverrides::new().with("rbac", FilterOverride::config(RbacOverride(config)))
    };
    let none = FilterOverrides::new;
    let b_only = || Some(RbacConfig::new(rules(RbacAction::Allow, &["b"])));
    let log = || RbacConfig::new(rules(RbacAction::Log, &[]));
    let rows = [
        ("no rules", RbacConfig::default(), vec![], true),
        ("only log", log(), vec![], true),
        ("no policy allows", allow_a(), vec![], false),
        ("shadow only", RbacConfig::default().with_shadow_rules(rules(RbacAction::Allow, &[])), vec![], true),
        ("switched off", allow_a(), vec![none(), with(None)], true),
        ("switched off by the virtual host", allow_a(), vec![with(None), none()], true),
        ("route before virtual host", allow_a(), vec![with(b_only()), with(Some(allow_a()))], false),
        ("replaced", allow_a(), vec![none(), with(b_only())], true),
        ("replaced by rules that log", allow_a(), vec![none(), with(Some(log()))], true),
    ];
    for (row, config, overrides, allowed) in rows {
        let server = Server::new(vec![("rbac", config)]);
        assert_eq!(server.call(&overrides, Some(peer("b"))).is_ok(), allowed, "{row}");
    }
}

#[test]
fn shadow_rules_count_what_they_would_refuse_and_refuse_nothing() {
    let config = RbacConfig::default().with_shadow_rules(rules(RbacAction::Deny, &["a"]));
    let server = Server::new(vec![("rbac", config)]);
    assert!(server.call(&[], Some(peer("a"))).is_ok());
    assert!(server.call(&[], Some(peer("b"))).is_ok());
    assert_eq!(server.counted(), ["rbac shadow allowed 1", "rbac shadow denied only-a 1"]);
}

#[test]
fn call_without_a_connection_is_refused() {
    let server = Server::new(vec![("rbac", RbacConfig::new(rules(RbacAction::Deny, &[])))]);
    assert!(server.call(&[], None).is_err());
}

/// Keeps entries as text.
#[derive(Debug, Default)]
struct Entries(Mutex<Vec<String>>);

impl PartialEq for Entries {
    fn eq(&self, _: &Self) -> bool {
        false
    }
}

impl AuditLogger for Entries {
    fn log(&self, entry: &AuditEntry<'_>) {
        let AuditEntry { rpc_method, principal, policy_name, matched_rule, authorized } = entry;
        let text = format!("{rpc_method} {principal} {policy_name} [{matched_rule}] {authorized}");
        self.0.lock().unwrap().push(text);
    }
}

/// B11: the condition is about the decision, not about the action.
#[test]
fn audit_condition_is_about_the_decision() {
    use AuditCondition::{None as Never, OnAllow, OnDeny, OnDenyAndAllow};
    let rows: [(AuditCondition, RbacAction, &str, &[&str]); 8] = [
        (OnDeny, RbacAction::Allow, "b", &["/pkg.Svc/Get spiffe://td/b rbac [] false"]),
        (OnDeny, RbacAction::Deny, "a", &["/pkg.Svc/Get spiffe://td/a rbac [only-a] false"]),
        (OnDeny, RbacAction::Allow, "a", &[]),
        (OnAllow, RbacAction::Allow, "a", &["/pkg.Svc/Get spiffe://td/a rbac [only-a] true"]),
        (OnAllow, RbacAction::Deny, "b", &["/pkg.Svc/Get spiffe://td/b rbac [] true"]),
        (OnAllow, RbacAction::Deny, "a", &[]),
        (OnDenyAndAllow, RbacAction::Deny, "b", &["/pkg.Svc/Get spiffe://td/b rbac [] true"]),
        (Never, RbacAction::Deny, "a", &[]),
    ];
    for (condition, action, name, expected) in rows {
        let entries = Arc::new(Entries::default());
        let audit = Audit::new(condition, [entries.clone() as Arc<dyn AuditLogger>]);
        let config = RbacConfig::new(rules(action, &["a"])).with_audit(audit);
        let server = Server::new(vec![("rbac", config)]);
        _ = server.call(&[], Some(peer(name)));
        assert_eq!(*entries.0.lock().unwrap(), expected, "{condition:?} {action:?} {name}");
    }
}

/// B11: two filters that both ask for an audit make two entries, and every logger is told.
#[test]
fn every_filter_and_every_logger_is_told() {
    let entries = Arc::new(Entries::default());
    let loggers = || [entries.clone() as Arc<dyn AuditLogger>, entries.clone()];
    let audit = || Audit::new(AuditCondition::OnDenyAndAllow, loggers());
    let deny = RbacConfig::new(rules(RbacAction::Deny, &[])).with_audit(audit());
    let allow = RbacConfig::new(rules(RbacAction::Allow, &["a"])).with_audit(audit());
    let server = Server::new(vec![("deny", deny), ("allow", allow)]);
    assert!(server.call(&[], Some(peer("a"))).is_ok());
    assert_eq!(entries.0.lock().unwrap().len(), 4);
    assert_eq!(audit(), audit());
}

/// Rules that log tell about the calls that they match, whatever the condition of an audit would say of a decision, and refuse none.
#[test]
fn rules_that_log_tell_audit_loggers_about_matching_calls() {
    let entries = Arc::new(Entries::default());
    let audit = Audit::new(AuditCondition::OnAllow, [entries.clone() as Arc<dyn AuditLogger>]);
    let config = RbacConfig::new(rules(RbacAction::Log, &["a"])).with_audit(audit);
    let server = Server::new(vec![("audit", config)]);
    for name in ["a", "b"] {
        let head = server.call(&[], Some(peer(name))).unwrap();
        assert_eq!(head.extensions.get::<AllowedBy>(), None, "nothing has been decided");
    }
    assert_eq!(*entries.0.lock().unwrap(), ["/pkg.Svc/Get spiffe://td/a audit [only-a] true"]);
    assert_eq!(server.counted(), [""; 0]);
}

#[test]
fn later_filters_learn_what_shadow_rules_say_if_it_is_asked_for() {
    let shadow = || RbacConfig::default().with_shadow_rules(rules(RbacAction::Deny, &["a"]));
    let server = Server::new(vec![("rbac", shadow().with_shadow_metadata("ext_"))]);
    let told = |name: &str| {
        let head = server.call(&[], Some(peer(name))).unwrap();
        let metadata = head.extensions.get::<DynamicMetadata>().unwrap().clone();
        serde_json::Value::Object(metadata.namespace("envoy.filters.http.rbac").unwrap().clone())
    };
    let denied = serde_json::json!({
        "ext_shadow_engine_result": "denied", "ext_shadow_effective_policy_id": "only-a",
    });
    assert_eq!(told("a"), denied);
    assert_eq!(told("b"), serde_json::json!({"ext_shadow_engine_result": "allowed"}));
    let silent = Server::new(vec![("rbac", shadow())]);
    let head = silent.call(&[], Some(peer("a"))).unwrap();
    assert!(head.extensions.get::<DynamicMetadata>().is_none());
}
