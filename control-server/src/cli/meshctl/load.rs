//! `meshctl load`.

use std::process::ExitCode;

use clap::Args;

use crate::cli::duration::short;
use crate::cli::output::Style;
use crate::cli::table::{MAX_CELL, Table};
use crate::cli::text::{MAX_REMARK, clipped};
use crate::cli::{Failure, Output};
use crate::load_reports::{ClusterLoad, LoadList, LocalityLoad, Rates};

use super::Query;
use super::admin::{AdminClient, percent_encoded};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) query: Query,
    /// Only this cluster, with everyone who reports it
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
}

pub(super) async fn run(
    client: &AdminClient,
    arguments: &Arguments,
    output: Output,
) -> Result<ExitCode, Failure> {
    let path = match &arguments.cluster {
        None => "/v1/load".to_owned(),
        Some(name) => format!("/v1/load?cluster={}", percent_encoded(name)),
    };
    let list: LoadList = client.get(&path).await?;
    if arguments.query.output.print(&list, output) {
        return Ok(ExitCode::SUCCESS);
    }
    if list.interval_seconds == 0.0 {
        output.line("load reports are off; --load-report-interval of the control server turns them on");
    } else if list.clusters.is_empty() {
        output.line(&format!("no load reported by {} reporters", list.reporters));
    } else {
        print(&list, output);
    }
    Ok(ExitCode::SUCCESS)
}

fn print(list: &LoadList, output: Output) {
    let mut table =
        Table::new(["CLUSTER", "LOCALITY", "REPORTERS", "OK/S", "ERROR/S", "DROPPED/S", "IN PROGRESS"]);
    for cluster in &list.clusters {
        let name = match cluster.service.as_str() {
            "" => cluster.cluster.clone(),
            service => format!("{} ({service})", cluster.cluster),
        };
        let reporters = cluster.reporters.to_string();
        table.row(row([name, "*".to_owned(), reporters], &cluster.rates, Some(cluster.dropped_per_second)));
        for one in cluster.localities.iter().filter(|one| !one.locality.is_empty()) {
            table.row(row([String::new(), one.locality.clone(), String::new()], &one.rates, None));
        }
    }
    table.print(output);
    for cluster in &list.clusters {
        remarks(cluster).iter().for_each(|line| output.line(line));
        if let Some(reporters) = cluster.by_reporter.as_deref().filter(|reporters| !reporters.is_empty()) {
            output.line("");
            let mut table =
                Table::new(["REPORTER", "NODE", "AGE", "OK/S", "ERROR/S", "DROPPED/S", "IN PROGRESS"]);
            for one in reporters {
                let cells = [one.id.to_string(), one.node_id.clone(), short(one.age_seconds)];
                table.row(row(cells, &one.rates, Some(one.dropped_per_second)));
            }
            table.print(output);
        }
    }
}

fn row(names: [String; 3], rates: &Rates, dropped: Option<f64>) -> Vec<(Style, String)> {
    let bad = |rate: f64| (if rate > 0.0 { Style::Bad } else { Style::Plain }, number(rate));
    let mut cells: Vec<_> = names.into_iter().map(|name| (Style::Plain, name)).collect();
    cells.push((Style::Plain, number(rates.success_per_second)));
    cells.push(bad(rates.error_per_second));
    cells.push(dropped.map_or((Style::Plain, String::new()), bad));
    cells.push((Style::Plain, rates.in_progress.to_string()));
    cells
}

/// Why calls were dropped, and the endpoints' own metrics.
fn remarks(cluster: &ClusterLoad) -> Vec<String> {
    let list = |found: &std::collections::BTreeMap<String, f64>| {
        let pairs: Vec<_> = found.iter().map(|(name, value)| format!("{name} {}", number(*value))).collect();
        clipped(&pairs.join(", "), MAX_REMARK)
    };
    let metrics = |one: &LocalityLoad| {
        let place = if one.locality.is_empty() { "endpoints" } else { &clipped(&one.locality, MAX_CELL) };
        (!one.metrics.is_empty())
            .then(|| format!("{}: {place} report {}", cluster.cluster, list(&one.metrics)))
    };
    let drops = (!cluster.drops.is_empty())
        .then(|| format!("{}: dropped per second: {}", cluster.cluster, list(&cluster.drops)));
    drops.into_iter().chain(cluster.localities.iter().filter_map(metrics)).collect()
}

/// Two digits after the point, none for what is large or whole.
fn number(value: f64) -> String {
    if value >= 100.0 || value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}
