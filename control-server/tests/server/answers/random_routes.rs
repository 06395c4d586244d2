//! `/v1/route` over random rules gives what the rules say, read word for word.

use std::fmt::Write as _;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Shop;

/// A rule of a `VirtualService`: its matches, of which one has to hold; without any, it takes every call.
type Rule = Vec<Match>;

/// All parts have to hold.
struct Match {
    path: Option<(Pattern, String)>,
    header: Option<(Pattern, String)>,
    without_header: bool,
}

#[derive(Clone, Copy)]
enum Pattern {
    Exact,
    Prefix,
    Regex,
}

struct Request {
    path: String,
    header: Option<String>,
}

impl Match {
    fn random(rng: &mut StdRng) -> Self {
        let pattern = [Pattern::Exact, Pattern::Prefix, Pattern::Regex][rng.random_range(0..3)];
        let path = rng.random_bool(0.7).then(|| (pattern, path(rng)));
        let pattern = [Pattern::Exact, Pattern::Prefix, Pattern::Regex][rng.random_range(0..3)];
        let header = rng.random_bool(0.4).then(|| (pattern, value(rng)));
        let without_header = header.is_none() && rng.random_bool(0.1);
        Self { path, header, without_header }
    }

    fn holds(&self, request: &Request) -> bool {
        let path = self.path.as_ref().is_none_or(|(pattern, text)| pattern.holds(text, &request.path));
        let header = self.header.as_ref().is_none_or(|(pattern, text)| {
            request.header.as_ref().is_some_and(|value| pattern.holds(text, value))
        });
        path && header && !(self.without_header && request.header.is_some())
    }

    fn yaml(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.path.as_ref().map(|(pattern, text)| format!("uri: {}", pattern.yaml(text))));
        parts.extend(
            self.header.as_ref().map(|(pattern, text)| format!("headers: {{x-a: {}}}", pattern.yaml(text))),
        );
        parts.extend(self.without_header.then(|| "withoutHeaders: {x-a: {}}".to_owned()));
        format!("{{{}}}", parts.join(", "))
    }
}

impl Pattern {
    fn holds(self, text: &str, found: &str) -> bool {
        match self {
            Self::Exact => found == text,
            Self::Prefix => found.starts_with(text),
            // Every expression below is a text and `.*`.
            Self::Regex => found.starts_with(text),
        }
    }

    fn yaml(self, text: &str) -> String {
        match self {
            Self::Exact => format!("{{exact: \"{text}\"}}"),
            Self::Prefix => format!("{{prefix: \"{text}\"}}"),
            Self::Regex => format!("{{regex: \"{text}.*\"}}"),
        }
    }
}

fn path(rng: &mut StdRng) -> String {
    let segment = |rng: &mut StdRng| ["a", "b", "ab"][rng.random_range(0..3)];
    format!("/{}/{}", segment(rng), segment(rng))
}

fn value(rng: &mut StdRng) -> String {
    ["x", "y", "xy"][rng.random_range(0..3)].to_owned()
}

fn services(rng: &mut StdRng) -> (String, Vec<Vec<Rule>>) {
    let (mut yaml, mut services) = (String::new(), Vec::new());
    for number in 0..SERVICES {
        let rules: Vec<Rule> = (0..rng.random_range(1..6))
            .map(|_| (0..rng.random_range(0..3)).map(|_| Match::random(rng)).collect())
            .collect();
        let _ = write!(
            yaml,
            "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: s{number}, namespace: shop}}\n\
             spec:\n  hosts: [s{number}.shop]\n  resolution: STATIC\n  ports: [{{number: 80, name: grpc}}]\n  \
             endpoints: [{{address: 10.0.0.1}}]\n\
             ---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: s{number}, namespace: shop}}\n\
             spec:\n  hosts: [s{number}.shop]\n  http:\n",
        );
        for rule in &rules {
            let matches: Vec<String> = rule.iter().map(Match::yaml).filter(|text| text != "{}").collect();
            let matches = if rule.iter().any(|one| one.yaml() == "{}") { Vec::new() } else { matches };
            let _ = writeln!(
                yaml,
                "  - match: [{}]\n    route: [{{destination: {{host: s{number}.shop}}}}]",
                matches.join(", ")
            );
        }
        services.push(rules);
    }
    (yaml, services)
}

async fn answer(shop: &Shop, service: usize, request: &Request) -> Value {
    let headers = request.header.as_ref().map(|value| format!("&headers=x-a:{value}")).unwrap_or_default();
    let question = format!("/v1/route?host=s{service}.shop&method={}{headers}", request.path);
    let admin = shop.running.admin_address();
    let mut stream = TcpStream::connect(admin).await.unwrap();
    let head = format!("GET {question} HTTP/1.0\r\nHost: {admin}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// `ROUTE_SEED` tries another configuration.
#[tokio::test]
async fn answers_are_what_random_rules_say() {
    let seed = std::env::var("ROUTE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(14);
    let mut rng = StdRng::seed_from_u64(seed);
    let (yaml, services) = services(&mut rng);
    let shop = Shop::open(&yaml).await;
    for (number, rules) in services.iter().enumerate() {
        for _ in 0..REQUESTS {
            let request =
                Request { path: path(&mut rng), header: rng.random_bool(0.6).then(|| value(&mut rng)) };
            let takes = |rule: &Rule| rule.is_empty() || rule.iter().any(|one| one.holds(&request));
            let expected = rules.iter().position(takes).map(|index| format!("spec.http[{index}]"));
            let found = answer(&shop, number, &request).await;
            let field = found["route"]["rule"]["field"].as_str().map(str::to_owned);
            let rule = field.as_ref().map(|field| field.split(".match").next().unwrap().to_owned());
            assert_eq!(
                rule, expected,
                "ROUTE_SEED={seed} s{number} {} {:?}: {found}",
                request.path, request.header
            );
            let before = found["passed_over"].as_array().unwrap();
            assert!(before.iter().all(|one| !one["reason"].as_str().unwrap().is_empty()), "{found}");
        }
    }
}

const SERVICES: usize = 60;
const REQUESTS: usize = 10;
