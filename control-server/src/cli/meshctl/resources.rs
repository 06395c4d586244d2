//! `meshctl resources`.

use std::process::ExitCode;

use clap::Args;

use crate::admin::{ResourceEntry, ResourceList};
use crate::cli::output::Style;
use crate::cli::table::Table;
use crate::cli::{Failure, Output};

use super::Query;
use super::admin::{AdminClient, percent_encoded};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    query: Query,
    /// Only resources of this type: cds, eds, leds, lds or rds
    #[arg(long, value_name = "TYPE")]
    r#type: Option<String>,
    /// Only this resource, with its content
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

impl Arguments {
    pub(super) fn client(&self) -> Result<AdminClient, Failure> {
        AdminClient::new(&self.query.admin)
    }

    fn path(&self) -> String {
        let parts = [("type", &self.r#type), ("name", &self.name)];
        let set = parts.into_iter().filter_map(|(key, value)| {
            value.as_ref().map(|value| format!("{key}={}", percent_encoded(value)))
        });
        let query = set.collect::<Vec<_>>().join("&");
        if query.is_empty() { "/v1/resources".to_owned() } else { format!("/v1/resources?{query}") }
    }
}

pub(super) async fn run(
    client: &AdminClient,
    arguments: &Arguments,
    output: Output,
) -> Result<ExitCode, Failure> {
    let list: ResourceList = client.get(&arguments.path()).await?;
    if arguments.query.output.print(&list, output) {
        return Ok(ExitCode::SUCCESS);
    }
    match list.resources.is_empty() {
        true => output.line("no such resource is served"),
        false => print(&list, output),
    }
    Ok(ExitCode::SUCCESS)
}

fn print(list: &ResourceList, output: Output) {
    let mut table = Table::new(["TYPE", "NAME", "CLIENTS", "BYTES", "VERSION"]);
    for one in &list.resources {
        let cells = [&one.r#type, &one.name, clients(one), &one.bytes.to_string(), &one.version];
        table.row(cells.map(|text| (Style::Plain, text.to_owned())).to_vec());
    }
    table.print(output);
    for one in &list.resources {
        let Some(text) = &one.text else { continue };
        output.line("");
        output.line(&format!("{} for {}:", one.name, clients(one)));
        text.lines().for_each(|line| output.line(line));
    }
}

/// Who gets it; those that no other entry of its name is for are the others.
fn clients(one: &ResourceEntry) -> &str {
    if one.scope.is_empty() { "all others" } else { &one.scope }
}
