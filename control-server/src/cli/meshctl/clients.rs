//! `meshctl clients`.

use std::process::ExitCode;

use crate::admin::ClientList;
use crate::cli::duration::short;
use crate::cli::output::{Span, Style};
use crate::cli::table::{MAX_CELL, Table};
use crate::cli::text::{MAX_REMARK, clipped};
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
    table(list).print(output);
    let remarks: Vec<_> = list.clients.iter().flat_map(remarks).collect();
    if !remarks.is_empty() {
        output.line("");
    }
    remarks.iter().for_each(|remark| output.spans(remark));
}

fn table(list: &ClientList) -> Table {
    let mut table = Table::new(["NODE", "PEER", "AGENT", "UP", "LDS", "RDS", "CDS", "EDS", "LEDS"]);
    for client in &list.clients {
        let plain = |text: &str| (Style::Plain, text.to_owned());
        let mut cells = vec![
            plain(name(client)),
            plain(&client.peer),
            plain(format!("{} {}", client.user_agent, client.user_agent_version).trim()),
            plain(&short(client.connected_seconds)),
        ];
        cells.extend(
            COLUMNS.map(|kind| cell(client.types.iter().find(|found| found.r#type == kind.short_name()))),
        );
        table.row(cells);
    }
    table
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

/// The refusals and missing names, which do not fit into a table.
fn remarks(client: &ClientStatus) -> Vec<Vec<Span>> {
    let name = clipped(name(client), MAX_CELL);
    let plain = |text: String| (Style::Plain, text);
    let list = |names: &[&str]| clipped(&names.join(", "), MAX_REMARK);
    let mut remarks = Vec::new();
    for status in &client.types {
        let r#type = &status.r#type;
        if status.state == SyncState::Nacked {
            let since = short(status.state_seconds);
            let reason = clipped(&status.reason, MAX_REMARK);
            remarks.push(vec![
                plain(format!("{name}: ")),
                (Style::Bad, "refused".to_owned()),
                plain(format!(" {type} {since} ago: {reason}")),
            ]);
        }
        if !status.deleted.is_empty() {
            let deleted: Vec<&str> = status.deleted.iter().map(String::as_str).collect();
            remarks.push(vec![
                plain(format!("{name}: {type} ")),
                (Style::Uncertain, "deleted".to_owned()),
                plain(format!(", and still asked for by the client: {}", list(&deleted))),
            ]);
        }
        let missing: Vec<&str> =
            status.missing.iter().filter(|name| !status.deleted.contains(name)).map(String::as_str).collect();
        if !missing.is_empty() {
            let names = list(&missing);
            remarks.push(vec![plain(format!("{name}: {type} asked for, not in the configuration: {names}"))]);
        }
    }
    remarks
}

/// In the order of a client's subscriptions.
const COLUMNS: [ResourceKind; 5] = [
    ResourceKind::Listener,
    ResourceKind::Route,
    ResourceKind::Cluster,
    ResourceKind::Endpoints,
    ResourceKind::LbEndpoint,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// A client with one type, whose name and reason have control characters.
    fn client(kind: ResourceKind, state: SyncState) -> ClientStatus {
        let types = serde_json::json!([{
            "type": kind.short_name(), "type_url": kind.type_url(), "state": state, "state_seconds": 1,
            "reason": format!("\u{1b}[2J{}", "r".repeat(50_000)), "wildcard": false, "names": [],
            "missing": ["gone\r"], "deleted": [], "version_sent": "", "version_acked": "",
        }]);
        serde_json::from_value(serde_json::json!({
            "id": 1, "node_id": format!("\u{1b}]0;{}", "n".repeat(50_000)), "node_cluster": "", "locality": "",
            "user_agent": "\u{9b}0m", "user_agent_version": "", "peer": "127.0.0.1:1", "security": "plaintext",
            "identity": "", "connected_seconds": 1, "state": state, "types": types, "unknown_types": [],
        }))
        .unwrap()
    }

    fn texts(lines: Vec<Vec<Span>>) -> Vec<String> {
        lines.into_iter().map(|line| line.into_iter().map(|(_, text)| text).collect()).collect()
    }

    #[test]
    fn every_type_has_a_column() {
        for kind in ResourceKind::ALL {
            let list = ClientList { clients: vec![client(kind, SyncState::Pending)] };
            let lines = texts(table(&list).lines());
            let column = lines[0].find(&format!(" {} ", kind.short_name().to_uppercase()));
            let column = column.or_else(|| lines[0].find(" LEDS")).unwrap();
            // Of a byte, as all other characters of the table are.
            let cell = lines[1].replace('…', ".").find(" PENDING");
            assert_eq!(cell, Some(column), "{kind:?}");
        }
    }

    #[test]
    fn client_text_is_escaped_and_cut() {
        let list = ClientList { clients: vec![client(ResourceKind::Cluster, SyncState::Nacked)] };
        let lines = [texts(table(&list).lines()), texts(remarks(&list.clients[0]))].concat();
        assert_eq!(lines.len(), 4);
        for line in &lines {
            assert!(!line.contains(char::is_control) && line.len() < 1500, "{line}");
        }
        assert!(lines[2].contains("\\u{1b}[2Jrrr") && lines[2].ends_with("r…"), "{}", lines[2]);
    }
}
