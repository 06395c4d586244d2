//! `meshctl clients`.

use std::process::ExitCode;

use crate::admin::ClientList;
use crate::cli::duration::short;
use crate::cli::output::Style;
use crate::cli::table::Table;
use crate::cli::{Failure, Output};
use crate::discovery::{ClientStatus, SyncState, TypeStatus};
use crate::resources::ResourceKind;

use super::Format;
use super::admin::AdminClient;

pub(super) async fn run(client: &AdminClient, format: Format, output: Output) -> Result<ExitCode, Failure> {
    let list: ClientList = client.get("/v1/clients").await?;
    match format {
        Format::Json => output.json(&list),
        Format::Table if list.clients.is_empty() => output.line("no client is connected"),
        Format::Table => print(&list, output),
    }
    Ok(ExitCode::SUCCESS)
}

fn print(list: &ClientList, output: Output) {
    let mut table = Table::new(["NODE", "PEER", "AGENT", "UP", "LDS", "RDS", "CDS", "EDS"]);
    for client in &list.clients {
        let plain = |text: &str| (Style::Plain, text.to_owned());
        let mut cells = vec![
            plain(name(client)),
            plain(&client.peer),
            plain(format!("{} {}", client.user_agent, client.user_agent_version).trim()),
            plain(&short(client.connected_seconds)),
        ];
        let kinds =
            [ResourceKind::Listener, ResourceKind::Route, ResourceKind::Cluster, ResourceKind::Endpoints];
        cells.extend(
            kinds.map(|kind| cell(client.types.iter().find(|found| found.r#type == kind.short_name()))),
        );
        table.row(cells);
    }
    table.lines(output).iter().for_each(|line| output.line(line));
    let remarks: Vec<_> = list.clients.iter().flat_map(|client| remarks(client, output)).collect();
    if !remarks.is_empty() {
        output.line("");
    }
    remarks.iter().for_each(|remark| output.line(remark));
}

fn name(client: &ClientStatus) -> &str {
    if client.node_id.is_empty() { "-" } else { &client.node_id }
}

fn cell(status: Option<&TypeStatus>) -> (Style, String) {
    let Some(status) = status else { return (Style::Plain, "-".to_owned()) };
    let style = match status.state {
        SyncState::Synced => Style::Good,
        SyncState::Pending => Style::Uncertain,
        SyncState::Nacked => Style::Bad,
    };
    (style, status.state.to_string())
}

/// What does not fit into a table: refusals and names that do not exist.
fn remarks(client: &ClientStatus, output: Output) -> Vec<String> {
    let name = name(client);
    let mut remarks = Vec::new();
    for status in &client.types {
        let r#type = &status.r#type;
        if status.state == SyncState::Nacked {
            let refused = output.style(Style::Bad, "refused");
            let since = short(status.state_seconds);
            remarks.push(format!("{name}: {refused} {} {since} ago: {}", r#type, status.reason));
        }
        if !status.deleted.is_empty() {
            let deleted = output.style(Style::Uncertain, "deleted");
            let names = status.deleted.join(", ");
            remarks.push(format!("{name}: {type} {deleted}, and still asked for by the client: {names}"));
        }
        let missing: Vec<&str> =
            status.missing.iter().filter(|name| !status.deleted.contains(name)).map(String::as_str).collect();
        if !missing.is_empty() {
            let names = missing.join(", ");
            remarks.push(format!("{name}: {type} asked for, not in the configuration: {names}"));
        }
    }
    remarks
}
