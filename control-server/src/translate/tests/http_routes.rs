//! `HTTPRoute`: requests of the Gateway API's conformance tests of meshes, and what the routes of each family of clients do with them.
//!
//! A request is `FAMILY METHOD PATH name:value ..`, and goes to the first route of the translated configuration that matches.

use prost::Message;
use xds_proto::envoy::config::core::v3::HeaderValueOption;
use xds_proto::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use xds_proto::envoy::config::route::v3::query_parameter_matcher::QueryParameterMatchSpecifier;
use xds_proto::envoy::config::route::v3::redirect_action::{PathRewriteSpecifier, SchemeRewriteSpecifier};
use xds_proto::envoy::config::route::v3::route::Action;
use xds_proto::envoy::config::route::v3::route_action::{ClusterSpecifier, HostRewriteSpecifier};
use xds_proto::envoy::config::route::v3::route_match::PathSpecifier;
use xds_proto::envoy::config::route::v3::{
    HeaderMatcher, RedirectAction, Route, RouteAction, RouteConfiguration,
};
use xds_proto::envoy::r#type::matcher::v3::StringMatcher;
use xds_proto::envoy::r#type::matcher::v3::string_matcher::MatchPattern;

use super::{LoadReporting, Plane, document};
use crate::resources::{ClientScope, ResourceKind, ResourceSet};
use crate::state::{ClientFamily, Severity};

/// The services `echo`, with two ports, `echo-v1` and `echo-v2`.
pub(super) fn services() -> String {
    let service = |name: &str, ports: &str| {
        let hosts = format!("hosts: [{name}.shop.svc.cluster.local], resolution: STATIC");
        document(
            "ServiceEntry",
            name,
            &format!("{{{hosts}, ports: [{ports}], endpoints: [{{address: 10.0.0.1}}]}}"),
        )
    };
    let http = "{number: 80, name: http}";
    let two = format!("{http}, {{number: 8080, name: alt}}");
    service("echo", &two) + &service("echo-v1", http) + &service("echo-v2", http)
}

/// A table of cases: a name, requests and where each one goes, and the specs of `HTTPRoute` objects, one a line.
#[test]
fn requests_go_where_the_routes_say() {
    let table = include_str!("http_routes.txt");
    let failures: Vec<String> = table.split("== ").skip(1).filter_map(failure).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn failure(case: &str) -> Option<String> {
    let (head, specs) = case.split_once("---\n").unwrap();
    let (name, requests) = head.split_once('\n').unwrap();
    let specs = specs.lines().enumerate();
    let routes = specs.map(|(index, spec)| match spec.split_once(' ') {
        Some(("GRPCRoute", spec)) => document("GRPCRoute", &format!("r{index}"), spec),
        _ => document("HTTPRoute", &format!("r{index}"), spec),
    });
    let mut plane = Plane::new(LoadReporting::Off);
    let set = plane.read(&(services() + &routes.collect::<String>()));
    let errors = plane.diagnostics.iter().filter(|one| one.severity == Severity::Error);
    let errors: Vec<String> = errors.map(ToString::to_string).collect();
    let wrong = requests.lines().find_map(|line| {
        let (request, expected) = line.split_once(" -> ").unwrap();
        let found = Request::new(request).outcome(&set);
        (found != expected).then(|| format!("{line}: found {found}"))
    })?;
    Some(format!("{name}: {wrong}: {errors:#?}"))
}

struct Request<'a> {
    family: ClientFamily,
    port: &'a str,
    method: &'a str,
    path: &'a str,
    query: &'a str,
    headers: Vec<(&'a str, &'a str)>,
}

impl<'a> Request<'a> {
    fn new(text: &'a str) -> Self {
        let mut words = text.split(' ');
        let (family, port) = words.next().map(|word| word.split_once(':').unwrap_or((word, "80"))).unwrap();
        let family = match family {
            "envoy" => ClientFamily::Envoy,
            "mesh-rs" => ClientFamily::MeshTonic,
            "grpc" => ClientFamily::Grpc,
            other => panic!("{other}"),
        };
        let (method, url) = (words.next().unwrap(), words.next().unwrap());
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let headers = words.map(|word| word.split_once(':').unwrap()).collect();
        Self { family, port, method, path, query, headers }
    }

    fn outcome(&self, set: &ResourceSet) -> String {
        let name = format!("outbound|{}||echo.shop.svc.cluster.local", self.port);
        let client = ClientScope { family: self.family, ..ClientScope::default() };
        let resource = set.get_for(ResourceKind::Route.into(), &name, &client).unwrap();
        let routes = RouteConfiguration::decode(resource.bytes.clone()).unwrap();
        let mut routes = routes.virtual_hosts[0].routes.iter();
        match routes.find(|route| self.matches(route)) {
            Some(route) => self.answer(route),
            None => "no route".to_owned(),
        }
    }

    fn matches(&self, route: &Route) -> bool {
        let one = route.r#match.as_ref().unwrap();
        let is_path = match one.path_specifier.as_ref().unwrap() {
            PathSpecifier::Prefix(prefix) => self.path.starts_with(prefix),
            PathSpecifier::Path(path) => self.path == path,
            PathSpecifier::SafeRegex(regex) => is_match(&regex.regex, self.path),
            other => panic!("{other:?}"),
        };
        let has_parameter = |name: &str, wanted: &QueryParameterMatchSpecifier| {
            let mut pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(found, _)| *found == name).is_some_and(|(_, value)| match wanted {
                QueryParameterMatchSpecifier::PresentMatch(is_present) => *is_present,
                QueryParameterMatchSpecifier::StringMatch(matcher) => is_text(matcher, value),
            })
        };
        is_path
            && one.headers.iter().all(|header| self.has_header(header))
            && one.query_parameters.iter().all(|parameter| {
                has_parameter(&parameter.name, parameter.query_parameter_match_specifier.as_ref().unwrap())
            })
    }

    #[expect(deprecated, reason = "the fields that every version of every client reads")]
    fn has_header(&self, header: &HeaderMatcher) -> bool {
        let value = match header.name.as_str() {
            ":method" => Some(self.method),
            name => self.headers.iter().find(|(found, _)| *found == name).map(|(_, value)| *value),
        };
        match (header.header_match_specifier.as_ref().unwrap(), value) {
            (HeaderMatchSpecifier::ExactMatch(text), Some(value)) => value == text,
            (HeaderMatchSpecifier::SafeRegexMatch(regex), Some(value)) => is_match(&regex.regex, value),
            (_, None) => false,
            (other, _) => panic!("{other:?}"),
        }
    }

    fn answer(&self, route: &Route) -> String {
        match route.action.as_ref().unwrap() {
            Action::Route(action) => {
                let changes = [
                    self.rewrite(route, action),
                    added("request", &route.request_headers_to_add),
                    removed("request", &route.request_headers_to_remove),
                    added("response", &route.response_headers_to_add),
                    removed("response", &route.response_headers_to_remove),
                ];
                shares(action) + &changes.concat()
            }
            Action::Redirect(to) => self.redirect(route, to),
            Action::DirectResponse(response) => response.status.to_string(),
            other => panic!("{other:?}"),
        }
    }

    /// The path with its matched part replaced, as clients do it.
    fn replaced(&self, route: &Route, by: &str) -> String {
        match route.r#match.as_ref().unwrap().path_specifier.as_ref().unwrap() {
            PathSpecifier::Prefix(prefix) => format!("{by}{}", &self.path[prefix.len()..]),
            _ => by.to_owned(),
        }
    }

    fn rewrite(&self, route: &Route, action: &RouteAction) -> String {
        let mut text = String::new();
        if !action.prefix_rewrite.is_empty() {
            text += &format!(" path {}", self.replaced(route, &action.prefix_rewrite));
        }
        if let Some(rewrite) = &action.regex_rewrite {
            let regex = regex::Regex::new(&rewrite.pattern.as_ref().unwrap().regex).unwrap();
            text += &format!(" path {}", regex.replace_all(self.path, rewrite.substitution.as_str()));
        }
        if let Some(HostRewriteSpecifier::HostRewriteLiteral(host)) = &action.host_rewrite_specifier {
            text += &format!(" host {host}");
        }
        text
    }

    fn redirect(&self, route: &Route, to: &RedirectAction) -> String {
        let status = [301, 302, 303, 307, 308][usize::try_from(to.response_code).unwrap()];
        let scheme = match &to.scheme_rewrite_specifier {
            Some(SchemeRewriteSpecifier::SchemeRedirect(scheme)) => scheme,
            _ => "http",
        };
        let host = if to.host_redirect.is_empty() { "echo" } else { &to.host_redirect };
        let port = if to.port_redirect > 0 { format!(":{}", to.port_redirect) } else { String::new() };
        let path = match &to.path_rewrite_specifier {
            Some(PathRewriteSpecifier::PathRedirect(path)) => path.clone(),
            Some(PathRewriteSpecifier::PrefixRewrite(by)) => self.replaced(route, by),
            _ => self.path.to_owned(),
        };
        format!("{status} {scheme}://{host}{port}{path}")
    }
}

fn is_match(regex: &str, text: &str) -> bool {
    regex::Regex::new(&format!("^(?:{regex})$")).unwrap().is_match(text)
}

fn is_text(matcher: &StringMatcher, text: &str) -> bool {
    match matcher.match_pattern.as_ref().unwrap() {
        MatchPattern::Exact(exact) => text == exact,
        MatchPattern::SafeRegex(regex) => is_match(&regex.regex, text),
        other => panic!("{other:?}"),
    }
}

/// `v1*9 + v2*1`; what is missing is `fails`, or the status that the client answers with.
fn shares(action: &RouteAction) -> String {
    let short = |cluster: &str| {
        let name = cluster.trim_start_matches("outbound|").replace("||", ":").replace("80:", "");
        let name = name.trim_end_matches(".shop.svc.cluster.local").trim_start_matches("echo-").to_owned();
        if cluster.starts_with("unavailable|") { "fails".to_owned() } else { name }
    };
    match action.cluster_specifier.as_ref().unwrap() {
        ClusterSpecifier::Cluster(name) => short(name),
        ClusterSpecifier::WeightedClusters(weighted) => {
            let share = |one: &xds_proto::envoy::config::route::v3::weighted_cluster::ClusterWeight| {
                let status = one.typed_per_filter_config.contains_key("envoy.filters.http.fault");
                let changes = added("request", &one.request_headers_to_add)
                    + &removed("request", &one.request_headers_to_remove);
                let name = if status { "500".to_owned() } else { short(&one.name) };
                format!("{name}*{}{changes}", one.weight.unwrap().value)
            };
            weighted.clusters.iter().map(share).collect::<Vec<_>>().join(" + ")
        }
        other => panic!("{other:?}"),
    }
}

fn added(of: &str, headers: &[HeaderValueOption]) -> String {
    let one = |option: &HeaderValueOption| {
        let header = option.header.as_ref().unwrap();
        let verb = if option.append_action == 0 { "adds" } else { "sets" };
        format!(", {of} {verb} {}={}", header.key, header.value)
    };
    headers.iter().map(one).collect()
}

fn removed(of: &str, names: &[String]) -> String {
    names.iter().map(|name| format!(", {of} loses {name}")).collect()
}
