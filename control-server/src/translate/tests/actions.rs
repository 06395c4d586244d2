//! What a route does beside choosing an endpoint: rewrites, mirrors, redirects, answers of its own.

use xds_proto::envoy::config::core::v3::data_source::Specifier;
use xds_proto::envoy::config::route::v3::redirect_action::{PathRewriteSpecifier, SchemeRewriteSpecifier};
use xds_proto::envoy::config::route::v3::route::Action;
use xds_proto::envoy::config::route::v3::route_action::HostRewriteSpecifier;

use super::routes::action;
use super::*;

/// The only route of `orders` with this rule, and what was found wrong.
fn rule(http: &str) -> (Route, Vec<String>) {
    let spec = format!("{{hosts: [orders], http: [{http}]}}");
    let (resources, found) =
        translate_with_diagnostics(&(services() + &document("VirtualService", "orders", &spec)));
    let [route] = routes(&resources, ORDERS).try_into().unwrap();
    (
        route,
        found.into_iter().map(|one| format!("{}: {} {:?}", one.field, one.message, one.clients)).collect(),
    )
}

fn routed(fields: &str) -> Route {
    rule(&format!("{{{fields}, route: [{{destination: {{host: orders}}}}]}}")).0
}

#[test]
fn rewrites_replace_what_was_matched_or_an_expressions_matches() {
    let of = |fields: &str| {
        let action = action(&routed(fields));
        let regex = action.regex_rewrite.map(|one| (one.pattern.unwrap().regex, one.substitution));
        let host = action.host_rewrite_specifier.map(|host| match host {
            HostRewriteSpecifier::HostRewriteLiteral(host) => host,
            other => panic!("{other:?}"),
        });
        (action.prefix_rewrite, regex, host)
    };
    let nothing = (String::new(), None, None);
    assert_eq!(of("timeout: 1s"), nothing);
    assert_eq!(of("rewrite: {uri: /v2.Orders/}"), ("/v2.Orders/".to_owned(), None, None));
    assert_eq!(of("rewrite: {authority: other.shop}"), (String::new(), None, Some("other.shop".to_owned())));
    let regex = Some(("^/v1/(.*)$".to_owned(), "/v2/\\1".to_owned()));
    let fields = "rewrite: {authority: a.b, uriRegexRewrite: {match: '^/v1/(.*)$', rewrite: '/v2/\\1'}}";
    assert_eq!(of(fields), (String::new(), regex, Some("a.b".to_owned())));
}

#[test]
fn mirrors_get_their_share_and_missing_ones_nothing() {
    let mirrors = |fields: &str| -> Vec<String> {
        let policies = action(&routed(fields)).request_mirror_policies.into_iter();
        let share = |one: &xds_proto::envoy::config::route::v3::route_action::RequestMirrorPolicy| {
            one.runtime_fraction.as_ref().unwrap().default_value.as_ref().unwrap().numerator
        };
        policies.map(|one| format!("{} {}", one.cluster, share(&one))).collect()
    };
    let users = "outbound|80||users.shop.svc.cluster.local";
    let port = "port: {number: 80}";
    assert_eq!(mirrors(&format!("mirror: {{host: users, {port}}}")), [format!("{users} 1000000")]);
    for half in ["mirrorPercent: 50", "mirrorPercentage: {value: 50}"] {
        let fields = format!("mirror: {{host: users, {port}}}, {half}");
        assert_eq!(mirrors(&fields), [format!("{users} 500000")], "{half}");
    }
    let several = format!(
        "mirrors: [{{destination: {{host: orders, subset: v1}}, percentage: {{value: 0.1}}}}, \
         {{destination: {{host: users, {port}}}}}, {{destination: {{host: gone}}}}]"
    );
    assert_eq!(mirrors(&several), [format!("{ORDERS_V1} 1000"), format!("{users} 1000000")]);
    let missing = rule("{mirror: {host: gone}, route: [{destination: {host: orders}}]}").1;
    let reason = "spec.http[0].mirror.host: nothing is mirrored to it: found `gone`";
    assert!(missing.iter().any(|found| found.starts_with(reason)), "{missing:?}");
}

#[test]
fn grpc_route_mirrors_by_percent_or_fraction() {
    for (share, expected) in
        [("", 1_000_000), (", percent: 30", 300_000), (", fraction: {numerator: 1, denominator: 8}", 125_000)]
    {
        let spec = format!(
            "{{parentRefs: [{{group: '', kind: Service, name: orders}}], rules: [{{filters: [{{type: RequestMirror, requestMirror: \
             {{backendRef: {{name: users, port: 80}}{share}}}}}], backendRefs: [{{name: orders, port: 80}}]}}]}}"
        );
        let (resources, _) =
            translate_with_diagnostics(&(services() + &document("GRPCRoute", "orders", &spec)));
        let [route] = routes(&resources, ORDERS).try_into().unwrap();
        let [mirror] = action(&route).request_mirror_policies.try_into().unwrap();
        assert_eq!(mirror.cluster, "outbound|80||users.shop.svc.cluster.local");
        assert_eq!(mirror.runtime_fraction.unwrap().default_value.unwrap().numerator, expected, "{share}");
    }
}

#[test]
fn answers_of_the_route_have_a_body_or_another_place() {
    let answer = |body: &str| match rule(&format!("{{directResponse: {{status: 418{body}}}}}")).0.action {
        Some(Action::DirectResponse(answer)) => (answer.status, answer.body.and_then(|body| body.specifier)),
        other => panic!("{other:?}"),
    };
    let text = |text: &'static str| Some(Specifier::InlineBytes(text.as_bytes().into()));
    assert_eq!(answer(""), (418, None));
    assert_eq!(answer(", body: {string: tea}"), (418, text("tea")));
    assert_eq!(answer(", body: {bytes: dGVh}"), (418, text("tea")));

    let fields = "redirect: {scheme: https, authority: a.b, port: 8443, uri: /c, redirectCode: 307}";
    let Some(Action::Redirect(to)) = rule(&format!("{{{fields}}}")).0.action else { panic!("a redirect") };
    assert_eq!((to.host_redirect.as_str(), to.port_redirect, to.response_code), ("a.b", 8443, 3));
    assert_eq!(to.path_rewrite_specifier, Some(PathRewriteSpecifier::PathRedirect("/c".to_owned())));
    assert_eq!(to.scheme_rewrite_specifier, Some(SchemeRewriteSpecifier::SchemeRedirect("https".to_owned())));
}

#[test]
fn attempts_have_a_timeout_and_other_endpoints() {
    let retries = "retries: {attempts: 2, retryOn: unavailable, perTryTimeout: 1.5s, retryIgnorePreviousHosts: true, \
                   retryRemoteLocalities: true}";
    let policy = action(&routed(retries)).retry_policy.unwrap();
    let timeout = policy.per_try_timeout.unwrap();
    assert_eq!((timeout.seconds, timeout.nanos), (1, 500_000_000));
    assert_eq!(policy.retry_host_predicate[0].name, "envoy.retry_host_predicates.previous_hosts");
    assert_eq!(policy.host_selection_retry_max_attempts, 5);
    assert_eq!(policy.retry_priority.unwrap().name, "envoy.retry_priorities.previous_priorities");
    let plain = action(&routed("retries: {attempts: 2, retryOn: unavailable}")).retry_policy.unwrap();
    assert!(
        plain.per_try_timeout.is_none()
            && plain.retry_host_predicate.is_empty()
            && plain.retry_priority.is_none()
    );
}

/// What a client does not do is said for that client alone.
#[test]
fn findings_name_the_clients_that_ignore_a_field() {
    let rows = [
        ("rewrite: {uri: /a}", "rewrite", "[Grpc]"),
        ("rewrite: {authority: a.b}", "rewrite.authority", "[MeshTonic]"),
        ("mirror: {host: orders}", "mirror", "[Grpc]"),
        ("retries: {attempts: 1, perTryTimeout: 1s}", "retries.perTryTimeout", "[Grpc]"),
        (
            "retries: {attempts: 1, retryRemoteLocalities: true}",
            "retries.retryRemoteLocalities",
            "[Grpc, MeshTonic]",
        ),
    ];
    for (fields, field, clients) in rows {
        let found = rule(&format!("{{{fields}, route: [{{destination: {{host: orders}}}}]}}")).1;
        let field = format!("spec.http[0].{field}: ");
        let is_said = |one: &String| one.starts_with(&field) && one.ends_with(clients);
        assert!(found.iter().any(is_said), "{fields}: {found:?}");
    }
}
