//! `meshctl approve`.

use std::process::ExitCode;

use clap::Args;

use crate::admin::{Approval, ServerStatus};
use crate::cli::{Failure, Output, output};

use super::admin::AdminClient;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The change, as `meshctl status` names it [default: the one that waits]
    pub(super) id: Option<String>,
    /// Address of the control server's admin API
    #[arg(long, value_name = "ADDR", env = "MESHCTL_ADMIN", default_value = "127.0.0.1:15080")]
    pub(super) admin: String,
}

/// Approves a change by its id, so that another one that has come in the meantime is not meant.
pub(super) async fn run(client: &AdminClient, id: Option<&str>, output: Output) -> Result<ExitCode, Failure> {
    let status: ServerStatus = client.get("/v1/status").await?;
    let Some(waiting) = status.waiting else {
        output::note("no change waits");
        return Ok(if id.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    };
    let id = id.unwrap_or(&waiting.id);
    if !id.chars().all(|character| character.is_ascii_alphanumeric() || character == '-') {
        return Err(Failure::new(format!(
            "{id:?} is no id of a change; `meshctl status` shows the one that waits"
        )));
    }
    let Approval { approved } = client.post(&format!("/v1/waiting/{id}/approve")).await?;
    let objects = output::count(waiting.objects, "object");
    output.line(&format!("approved {approved}: {objects}, removes {}", waiting.reasons.join("; ")));
    Ok(ExitCode::SUCCESS)
}
