//! `meshctl services`.

use std::process::ExitCode;

use clap::Args;

use crate::admin::{PortSummary, ServiceList, ServiceSummary};
use crate::cli::output::{Span, Style};
use crate::cli::table::Table;
use crate::cli::{Failure, Output};
use crate::places::Place;

use super::Query;
use super::admin::AdminClient;
use super::viewer::{ViewerArguments, path};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) query: Query,
    #[command(flatten)]
    viewer: ViewerArguments,
}

pub(super) async fn run(
    client: &AdminClient,
    arguments: &Arguments,
    output: Output,
) -> Result<ExitCode, Failure> {
    let list: ServiceList = client.get(&path("/v1/services", &arguments.viewer.query())).await?;
    if arguments.query.output.print(&list, output) {
        return Ok(ExitCode::SUCCESS);
    }
    match list.services.is_empty() {
        true => output.line("no service is declared"),
        false => table(&list, arguments.query.output.is_wide()).print(output),
    }
    Ok(ExitCode::SUCCESS)
}

/// One row for each port; the host and its objects stand in the first one.
fn table(list: &ServiceList, is_wide: bool) -> Table {
    let mut table = match is_wide {
        false => Table::new(["SERVICE", "PORT", "ENDPOINTS", "SUBSETS", "ROUTES", "DECLARED"]),
        true => Table::new([
            "SERVICE",
            "PORT",
            "ENDPOINTS",
            "SUBSETS",
            "ROUTES",
            "DECLARED",
            "ROUTED BY",
            "RULED BY",
        ]),
    };
    for service in &list.services {
        for (position, port) in service.ports.iter().enumerate() {
            let is_first = position == 0;
            let mut cells = vec![
                plain(if is_first { service.host.clone() } else { String::new() }),
                plain(port.port.to_string()),
                endpoints(port),
                plain(subsets(port)),
                plain(port.routes.to_string()),
            ];
            cells.extend(objects(service, is_first, is_wide));
            table.row(cells);
        }
    }
    table
}

fn objects(service: &ServiceSummary, is_first: bool, is_wide: bool) -> Vec<Span> {
    let columns = match is_wide {
        false => vec![&service.declared_by],
        true => vec![&service.declared_by, &service.routed_by, &service.ruled_by],
    };
    columns.into_iter().map(|places| plain(if is_first { list_of(places) } else { String::new() })).collect()
}

/// Without an endpoint calls fail.
fn endpoints(port: &PortSummary) -> Span {
    match (port.endpoints, port.resolved.as_slice()) {
        (0, []) => (Style::Bad, "0".to_owned()),
        (0, names) => plain(format!("DNS {}", names.join(", "))),
        (count, []) => plain(count.to_string()),
        (count, names) => plain(format!("{count}, DNS {}", names.join(", "))),
    }
}

fn subsets(port: &PortSummary) -> String {
    let subsets: Vec<_> = port.subsets.iter().map(|(name, count)| format!("{name} {count}")).collect();
    if subsets.is_empty() { "-".to_owned() } else { subsets.join(", ") }
}

/// `shop.yaml:12, more.yaml:3`
fn list_of(places: &[Place]) -> String {
    let places: Vec<_> = places.iter().map(|place| format!("{}:{}", place.file, place.line)).collect();
    if places.is_empty() { "-".to_owned() } else { places.join(", ") }
}

fn plain(text: String) -> Span {
    (Style::Plain, text)
}
