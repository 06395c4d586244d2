//! `meshctl route`: which route a client takes for a call.

use std::process::ExitCode;

use clap::Args;

use crate::admin::{ChosenRoute, ClusterShare, RouteAnswer};
use crate::cli::output::{Span, Style};
use crate::cli::text::{MAX_REMARK, clipped};
use crate::cli::{Failure, Output};
use crate::places::Place;

use super::Query;
use super::admin::AdminClient;
use super::viewer::{ViewerArguments, path};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) query: Query,
    /// The service as clients name it: orders, orders.shop, orders.shop:8080 or xds:///orders.shop
    host: String,
    /// The method that is called: /package.Service/Method; with --http a path
    method: String,
    /// A header of the call, NAME:VALUE or NAME=VALUE; may be repeated
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// The call is not gRPC's: rules see every header
    #[arg(long)]
    http: bool,
    #[command(flatten)]
    viewer: ViewerArguments,
}

pub(super) async fn run(
    client: &AdminClient,
    arguments: &Arguments,
    output: Output,
) -> Result<ExitCode, Failure> {
    let mut parts = arguments.viewer.query();
    parts.extend([
        ("host", arguments.host.clone()),
        ("method", arguments.method.clone()),
        ("headers", arguments.headers.join("\n")),
        ("protocol", if arguments.http { "http" } else { "grpc" }.to_owned()),
    ]);
    let answer: RouteAnswer = client.get(&path("/v1/route", &parts)).await?;
    if !arguments.query.output.print(&answer, output) {
        print(&answer, arguments.query.output.is_wide(), output);
    }
    Ok(if has_endpoint(&answer) { ExitCode::SUCCESS } else { ExitCode::from(FAILS) })
}

/// Whether an endpoint may get the call.
fn has_endpoint(answer: &RouteAnswer) -> bool {
    let clusters = answer.route.as_ref().map(|route| route.clusters.as_slice()).unwrap_or_default();
    clusters.iter().any(|cluster| !cluster.missing && cluster.endpoints != Some(0))
}

fn print(answer: &RouteAnswer, is_wide: bool, output: Output) {
    let line = |spans: Vec<Span>| output.spans(&spans);
    for one in &answer.passed_over {
        let style = if one.share_per_million.is_some() { Style::Uncertain } else { Style::Plain };
        let place = place(one.rule.as_ref());
        line(vec![plain(format!("{}. ", one.position + 1)), (style, clipped(&one.reason, MAX_REMARK))]);
        line(vec![plain(format!("   {}{place}", named(&one.name)))]);
    }
    match &answer.route {
        Some(route) => {
            let matches = clipped(&route.matches, MAX_REMARK);
            line(vec![
                plain(format!("{}. ", route.position + 1)),
                (Style::Good, format!("takes the call: {matches}")),
            ]);
            line(vec![plain(format!("   {}{}", named(&route.name), place(route.rule.as_ref())))]);
            print_action(route, output);
        }
        None if answer.virtual_host.is_empty() => {
            line(vec![(Style::Bad, format!("no virtual host serves {}: the call fails", answer.authority))]);
        }
        None => line(vec![(Style::Bad, "no route matches: the call fails".to_owned())]),
    }
    if is_wide {
        for one in [&answer.listener, &answer.routes] {
            let state = one.state.map(|state| format!(", {state:?} at the client")).unwrap_or_default();
            line(vec![plain(format!("decided by {} of version {}{state}", one.name, one.version))]);
        }
    }
    for note in &answer.notes {
        line(vec![(Style::Uncertain, format!("note: {}", clipped(note, MAX_REMARK)))]);
    }
}

fn print_action(route: &ChosenRoute, output: Output) {
    if route.action != "forward" {
        output.spans(&[(Style::Bad, format!("   the call fails: {}", route.action))]);
    }
    for cluster in &route.clusters {
        output.spans(&[plain(format!("   {} ", share(cluster))), endpoints(cluster)]);
    }
    if let Some(timeout) = route.timeout_seconds.filter(|timeout| *timeout > 0.0) {
        output.line(&format!("   within {timeout} s"));
    }
}

/// `90 of 100 to outbound|80|v1|orders.shop`
fn share(cluster: &ClusterShare) -> String {
    match cluster.weight == cluster.of {
        true => format!("to {}", cluster.cluster),
        false => format!("{} of {} to {}", cluster.weight, cluster.of, cluster.cluster),
    }
}

fn endpoints(cluster: &ClusterShare) -> Span {
    match (cluster.missing, cluster.endpoints) {
        (true, _) => (Style::Bad, "(not served: the call fails)".to_owned()),
        (false, Some(0)) => (Style::Bad, "(no endpoint: the call fails)".to_owned()),
        (false, Some(1)) => plain("(1 endpoint)"),
        (false, Some(count)) => plain(format!("({count} endpoints)")),
        (false, None) => plain("(DNS)"),
    }
}

fn named(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!("route {name}, ") }
}

fn place(rule: Option<&Place>) -> String {
    rule.map_or_else(|| "not of a rule".to_owned(), ToString::to_string)
}

fn plain(text: impl Into<String>) -> Span {
    (Style::Plain, text.into())
}

/// No endpoint gets the call.
const FAILS: u8 = 3;
