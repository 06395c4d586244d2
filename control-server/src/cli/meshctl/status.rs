//! `meshctl status`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use crate::admin::{ObjectConditions, ObjectList, ServerStatus};
use crate::cli::duration::short;
use crate::cli::output::{Style, count};
use crate::cli::table::Table;
use crate::cli::text::{MAX_REMARK, clipped};
use crate::cli::{Failure, Output};
use crate::state::{PipelineState, Severity};

use super::Query;
use super::admin::AdminClient;

/// What `-o json` prints.
#[derive(Debug, Serialize)]
struct Answer {
    admin: String,
    status: ServerStatus,
    config: PipelineState,
    /// The objects of which connected clients refuse something.
    refused: Vec<ObjectConditions>,
}

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) query: Query,
    /// Also fail if there are errors in the configuration, a change waits, a last good version is in use, or clients refuse
    /// something
    #[arg(long)]
    strict: bool,
}

pub(super) async fn run(
    client: &AdminClient,
    arguments: &Arguments,
    output: Output,
) -> Result<ExitCode, Failure> {
    let status: ServerStatus = client.get("/v1/status").await?;
    let config: PipelineState = client.get("/v1/config").await?;
    let mut refused = client.get::<ObjectList>("/v1/objects").await?.objects;
    refused.retain(|object| !object.refused_by.is_empty());
    let is_stale = config.objects.iter().any(|object| object.stale);
    let is_good = status.errors == 0 && status.waiting.is_none() && !is_stale && refused.is_empty();
    let succeeded = status.readiness.ready && (is_good || !arguments.strict);
    let answer = Answer { admin: client.address().to_owned(), status, config, refused };
    if !arguments.query.output.print(&answer, output) {
        print(&answer, output);
    }
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(answer: &Answer, output: Output) {
    let Answer { admin, status, config, refused } = answer;
    let mut table = Table::new(["control-server", admin]);
    let mut row =
        |name: &str, style, text: String| table.row(vec![(Style::Plain, name.to_owned()), (style, text)]);
    row("version", Style::Plain, format!("{}, up {}", status.version, short(status.uptime_seconds)));
    match status.readiness.ready {
        true => row("ready", Style::Good, "yes".to_owned()),
        false => row("ready", Style::Bad, format!("no: {}", status.readiness.reasons.join(", "))),
    }
    row("revision", Style::Plain, status.revision.to_string());
    row("objects", Style::Plain, objects(config));
    if let Some(waiting) = &status.waiting {
        let objects = count(waiting.objects, "object");
        let text = format!("{}: {objects}, removes {}", waiting.id, waiting.reasons.join("; "));
        row("waiting", Style::Bad, text);
        row("", Style::Plain, format!("in effect after `meshctl approve {}`", waiting.id));
    }
    if config.passed_over > 0 {
        row("passed over", Style::Plain, format!("{} of other kinds", count(config.passed_over, "document")));
    }
    if !config.not_kept.is_empty() {
        let text = format!("{} (errors, and no earlier version)", config.not_kept.join(", "));
        row("not kept", Style::Uncertain, text);
    }
    let (errors, warnings) = (count(status.errors, "error"), count(status.warnings, "warning"));
    row("diagnostics", severity(status), format!("{errors}, {warnings}"));
    let clients = &status.clients;
    let style = if clients.nacked > 0 { Style::Bad } else { Style::Plain };
    let streams = count(clients.connected, "stream");
    let nodes = count(clients.nodes, "node");
    let text = format!(
        "{streams} of {nodes}: {} synced, {} missing, {} pending, {} nacked",
        clients.synced, clients.missing, clients.pending, clients.nacked
    );
    row("clients", style, text);
    table.print(output);
    if !config.diagnostics.is_empty() || !refused.is_empty() {
        output.line("");
    }
    for diagnostic in config.diagnostics.iter() {
        output.line(&diagnostic.to_string());
    }
    for object in refused {
        for refusal in &object.refused_by {
            let text = clipped(&refusal.to_string(), MAX_REMARK);
            output.line(&format!("{}:{}: {}: {text}", object.file, object.line, object.object));
        }
    }
}

fn severity(status: &ServerStatus) -> Style {
    match (status.errors, status.warnings) {
        (0, 0) => Style::Plain,
        (0, _) => Style::Uncertain,
        _ => Style::Bad,
    }
}

/// `3: 2 ServiceEntry, 1 VirtualService`, and the number that are last good versions of broken ones.
fn objects(config: &PipelineState) -> String {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for object in config.objects.iter() {
        *kinds.entry(&object.kind).or_default() += 1;
    }
    let kinds: Vec<_> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let stale = config.objects.iter().filter(|object| object.stale).count();
    let mut text = config.objects.len().to_string();
    if !kinds.is_empty() {
        text = format!("{text}: {}", kinds.join(", "));
    }
    let broken = config.diagnostics.iter().any(|found| found.severity == Severity::Error);
    if stale > 0 && broken {
        text = format!("{text} ({stale} kept from before their file was broken)");
    }
    text
}
