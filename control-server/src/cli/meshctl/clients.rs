//! `meshctl clients`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;

use crate::admin::ClientList;
use crate::cli::duration::short;
use crate::cli::output::{Span, Style};
use crate::cli::table::{MAX_CELL, Table};
use crate::cli::text::{MAX_REMARK, clipped};
use crate::cli::{Failure, Output};
use crate::connection::Security;
use crate::discovery::{ClientProcess, ClientStatus, SyncState, TypeStatus};
use crate::resources::ResourceKind;
use crate::yaml::did_you_mean;

use super::Query;
use super::admin::AdminClient;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) query: Query,
    /// Only this client, with all that is known of it: the id of its node, or the number of its stream. Every process that
    /// has the node is shown
    name: Option<String>,
}

pub(super) async fn run(
    client: &AdminClient,
    arguments: &Arguments,
    output: Output,
) -> Result<ExitCode, Failure> {
    let mut list: ClientList = client.get("/v1/clients").await?;
    if let Some(name) = &arguments.name {
        list = only(list, name)?;
    }
    let format = arguments.query.output;
    if format.print(&list, output) {
        return Ok(ExitCode::SUCCESS);
    }
    match list.clients.is_empty() {
        true => output.line("no client is connected"),
        false => print(&list, format.is_wide(), arguments.name.is_some(), output),
    }
    Ok(ExitCode::SUCCESS)
}

/// The clients of that node, or the one with that number.
fn only(list: ClientList, name: &str) -> Result<ClientList, Failure> {
    let (meant, others): (Vec<_>, Vec<_>) =
        list.clients.into_iter().partition(|client| client.node_id == name || client.id.to_string() == name);
    if meant.is_empty() {
        let hint = did_you_mean(name, others.iter().map(|client| client.node_id.as_str()));
        return Err(Failure::new(format!("no client {name:?} is connected{hint}")));
    }
    Ok(ClientList { clients: meant })
}

fn print(list: &ClientList, is_wide: bool, is_detailed: bool, output: Output) {
    table(list, is_wide).print(output);
    if is_detailed {
        for client in &list.clients {
            output.line("");
            details(client).print(output);
        }
    }
    let shared = shared_nodes(&list.clients).into_iter().map(|text| vec![(Style::Plain, text)]);
    let remarks: Vec<_> = list.clients.iter().flat_map(remarks).chain(shared).collect();
    if !remarks.is_empty() {
        output.line("");
    }
    remarks.iter().for_each(|remark| output.spans(remark));
}

fn table(list: &ClientList, is_wide: bool) -> Table {
    let mut table = match is_wide {
        false => Table::new(["NODE", "PEER", "AGENT", "UP", "LDS", "RDS", "CDS", "EDS", "LEDS"]),
        true => Table::new([
            "NODE", "PEER", "STREAM", "PROCESS", "LOCALITY", "SECURITY", "AGENT", "UP", "LDS", "RDS", "CDS",
            "EDS", "LEDS",
        ]),
    };
    for client in &list.clients {
        let plain = |text: &str| (Style::Plain, text.to_owned());
        let mut cells = vec![plain(name(client)), plain(&client.peer)];
        if is_wide {
            cells.push(plain(&client.id.to_string()));
            cells.extend(
                [&process(client), &client.locality, &security(client)].map(|text| plain(or_dash(text))),
            );
        }
        cells.extend([
            plain(format!("{} {}", client.user_agent, client.user_agent_version).trim()),
            plain(&short(client.connected_seconds)),
        ]);
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

/// Everything that is known of a client, besides the table.
fn details(client: &ClientStatus) -> Table {
    let mut table = Table::new(["STREAM", &client.id.to_string()]);
    let mut row = |name: &str, text: &str| {
        table.row(vec![(Style::Plain, name.to_owned()), (Style::Plain, clipped(or_dash(text), MAX_REMARK))]);
    };
    row("node", &client.node_id);
    row("process", &process(client));
    row("peer", &client.peer);
    row("security", &security(client));
    row("locality", &client.locality);
    row("cluster", &client.node_cluster);
    for status in &client.types {
        let names = if status.wildcard { "everything".to_owned() } else { status.names.join(", ") };
        let versions = match (status.version_sent.as_str(), status.version_acked.as_str()) {
            ("", _) => "nothing sent".to_owned(),
            (sent, acked) if sent == acked => format!("version {sent}"),
            (sent, acked) => format!("version {sent} sent, {} accepted", or_dash(acked)),
        };
        let since = short(status.state_seconds);
        row(&status.r#type, &format!("{} for {since}, {versions}: {names}", status.state));
    }
    if !client.unknown_types.is_empty() {
        row("not served", &client.unknown_types.join(", "));
    }
    table
}

/// `shop, pid 4711 on web-1`, as far as the client states it.
fn process(client: &ClientStatus) -> String {
    let Some(ClientProcess { host, pid, program }) = &client.process else { return String::new() };
    let pid = if *pid > 0 { format!("pid {pid}") } else { String::new() };
    let parts = [program.clone(), pid];
    let text = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
    if host.is_empty() { text } else { format!("{text} on {host}") }
}

fn security(client: &ClientStatus) -> String {
    let security = match client.security {
        Security::Plaintext => "plaintext",
        Security::Tls => "tls",
        Security::Mtls => "mtls",
    };
    if client.identity.is_empty() { security.to_owned() } else { format!("{security} {}", client.identity) }
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// Nodes that several streams have.
fn shared_nodes(clients: &[ClientStatus]) -> Vec<String> {
    let mut streams: BTreeMap<&str, usize> = BTreeMap::new();
    for client in clients.iter().filter(|client| !client.node_id.is_empty()) {
        *streams.entry(&client.node_id).or_default() += 1;
    }
    let shared = streams.into_iter().filter(|(_, count)| *count > 1);
    shared
        .map(|(node, count)| {
            let node = clipped(node, MAX_CELL);
            format!(
                "{node}: {count} streams have this node; `meshctl clients {node}` tells their processes apart"
            )
        })
        .collect()
}

fn cell(status: Option<&TypeStatus>) -> (Style, String) {
    let Some(status) = status else { return (Style::Plain, "-".to_owned()) };
    let style = match status.state {
        SyncState::Synced => Style::Good,
        SyncState::Missing | SyncState::Pending => Style::Uncertain,
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
        let missing: Vec<String> = status
            .missing
            .iter()
            .filter(|name| !status.deleted.contains(name))
            .map(|name| with_near(status, name))
            .collect();
        if !missing.is_empty() {
            let names = list(&missing.iter().map(String::as_str).collect::<Vec<_>>());
            remarks.push(vec![plain(format!("{name}: {type} asked for, not in the configuration: {names}"))]);
        }
    }
    remarks
}

/// A missing name, with the one that was meant perhaps.
fn with_near(status: &TypeStatus, name: &str) -> String {
    match status.near.get(name) {
        None => name.to_owned(),
        Some(near) if near == name => format!("{name} (exported to other clients only)"),
        Some(near) => format!("{name} (did you mean {near}?)"),
    }
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
            let lines = texts(table(&list, false).lines());
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
        let lines = [texts(table(&list, false).lines()), texts(remarks(&list.clients[0]))].concat();
        assert_eq!(lines.len(), 4);
        for line in &lines {
            assert!(!line.contains(char::is_control) && line.len() < 1500, "{line}");
        }
        assert!(lines[2].contains("\\u{1b}[2Jrrr") && lines[2].ends_with("r…"), "{}", lines[2]);
    }
}
