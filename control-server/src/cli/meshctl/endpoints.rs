//! `meshctl endpoints`.

use std::process::ExitCode;

use clap::Args;

use crate::admin::{ClusterEndpoints, EndpointList, EndpointStatus};
use crate::cli::output::{Span, Style};
use crate::cli::table::Table;
use crate::cli::text::{MAX_REMARK, clipped};
use crate::cli::{Failure, Output};

use super::Query;
use super::admin::AdminClient;
use super::viewer::{ViewerArguments, path};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) query: Query,
    /// The service as clients name it: orders, orders.shop, orders.shop:8080 or xds:///orders.shop; with a port, only that one
    host: String,
    #[command(flatten)]
    viewer: ViewerArguments,
}

pub(super) async fn run(
    client: &AdminClient,
    arguments: &Arguments,
    output: Output,
) -> Result<ExitCode, Failure> {
    let mut parts = arguments.viewer.query();
    parts.push(("host", arguments.host.clone()));
    let list: EndpointList = client.get(&path("/v1/endpoints", &parts)).await?;
    if !arguments.query.output.print(&list, output) {
        print(&list, arguments.query.output.is_wide(), output);
    }
    Ok(if is_usable(&list) { ExitCode::SUCCESS } else { ExitCode::from(NO_ENDPOINT) })
}

/// Whether every cluster has an endpoint or a name to resolve.
fn is_usable(list: &EndpointList) -> bool {
    list.clusters.iter().all(|cluster| !cluster.endpoints.is_empty() || !cluster.resolved.is_empty())
}

fn print(list: &EndpointList, is_wide: bool, output: Output) {
    table(list, is_wide).print(output);
    let mut remarks: Vec<String> =
        list.declared_by.iter().map(|place| format!("declared at {place}")).collect();
    for cluster in &list.clusters {
        remarks.extend(load(cluster));
    }
    for one in &list.left_out {
        remarks.push(format!(
            "left out: {} (not ready, or of weight 0), declared at {}",
            one.address, one.declared_at
        ));
    }
    output.line("");
    remarks.iter().for_each(|remark| output.line(&clipped(remark, MAX_REMARK)));
}

fn table(list: &EndpointList, is_wide: bool) -> Table {
    let mut table = match is_wide {
        false => {
            Table::new(["PORT", "SUBSET", "ENDPOINT", "LOCALITY", "PRIORITY", "WEIGHT", "HEALTH", "DECLARED"])
        }
        true => Table::new([
            "PORT",
            "SUBSET",
            "ENDPOINT",
            "LOCALITY",
            "PRIORITY",
            "WEIGHT",
            "LOCALITY WEIGHT",
            "HEALTH",
            "CLUSTER",
            "DECLARED",
        ]),
    };
    for cluster in &list.clusters {
        let name = || {
            let subset = if cluster.subset.is_empty() { "-" } else { &cluster.subset };
            vec![plain(cluster.port.to_string()), plain(subset)]
        };
        for endpoint in &cluster.endpoints {
            table.row([name(), cells(cluster, endpoint, is_wide)].concat());
        }
        if cluster.endpoints.is_empty() {
            table.row([name(), vec![without_endpoints(cluster)]].concat());
        }
    }
    table
}

fn cells(cluster: &ClusterEndpoints, endpoint: &EndpointStatus, is_wide: bool) -> Vec<Span> {
    let health = match endpoint.health.as_str() {
        "HEALTHY" => Style::Good,
        _ => Style::Uncertain,
    };
    let locality = if endpoint.locality.is_empty() { "-" } else { &endpoint.locality };
    let mut cells = vec![
        plain(&endpoint.address),
        plain(locality),
        plain(endpoint.priority.to_string()),
        plain(endpoint.weight.to_string()),
    ];
    if is_wide {
        cells.push(plain(endpoint.locality_weight.to_string()));
    }
    cells.push((health, endpoint.health.clone()));
    if is_wide {
        cells.push(plain(&cluster.cluster));
    }
    let places = endpoint.declared_at.iter().map(|place| format!("{}:{}", place.file, place.line));
    let places = places.collect::<Vec<_>>().join(", ");
    cells.push(plain(if places.is_empty() { "-".to_owned() } else { places }));
    cells
}

fn without_endpoints(cluster: &ClusterEndpoints) -> Span {
    match (cluster.resolved.as_str(), cluster.unavailable.as_str()) {
        ("", "") => (Style::Bad, "none: calls fail".to_owned()),
        ("", reason) => (Style::Bad, format!("none: calls fail, {reason}")),
        (name, _) => plain(format!("DNS {name}")),
    }
}

/// What clients report of the endpoints of each locality.
fn load(cluster: &ClusterEndpoints) -> Vec<String> {
    let line = |one: &crate::load_reports::LocalityLoad| {
        let place = if one.locality.is_empty() { "no locality" } else { &one.locality };
        let (ok, failed) = (one.rates.success_per_second, one.rates.error_per_second);
        format!("{}: clients report for {place}: {ok:.1} OK/s, {failed:.1} errors/s", cluster.cluster)
    };
    cluster.load.iter().map(line).collect()
}

fn plain(text: impl Into<String>) -> Span {
    (Style::Plain, text.into())
}

/// A port or a subset has no endpoint: its calls fail.
const NO_ENDPOINT: u8 = 3;
