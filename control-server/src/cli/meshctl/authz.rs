//! `meshctl authz`: whether a server answers a call, and by which rule.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::admin::{AuthzAnswer, ServerDecision, Verdict};
use crate::cli::output::Style;
use crate::cli::{Failure, Output};

use super::Query;
use super::admin::{AdminClient, percent_encoded};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) query: Query,
    /// The caller: namespace/account, spiffe://..., or - for one without an identity, in plaintext
    from: String,
    /// The server: the node of a connected one as `meshctl clients` shows it, or with --port NAMESPACE[/LABEL=VALUE,...]
    to: String,
    /// The server's port; the server need not be connected then
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// The library of a server that is not connected
    #[arg(long, value_name = "LIBRARY", default_value = "mesh", requires = "port")]
    library: Library,
    /// The method that is called: /package.Service/Method, or a path of HTTP
    #[arg(long, value_name = "PATH")]
    method: Option<String>,
    /// The method of HTTP
    #[arg(long, value_name = "NAME", default_value = "POST")]
    http_method: String,
    /// The authority that the caller asks for
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// The caller's address
    #[arg(long, value_name = "ADDR")]
    ip: Option<String>,
    /// A header of the call, NAME=VALUE; may be repeated
    #[arg(long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// The claims of the caller's token, as JSON
    #[arg(long, value_name = "JSON")]
    claims: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Library {
    /// Ours
    Mesh,
    /// gRPC's own, of any language
    Grpc,
}

impl Arguments {
    fn path(&self) -> String {
        let mut parts = vec![("from", self.from.clone()), ("http_method", self.http_method.clone())];
        match self.port {
            None => parts.push(("to", self.to.clone())),
            Some(port) => {
                let (namespace, labels) = self.to.split_once('/').unwrap_or((&self.to, ""));
                let family = match self.library {
                    Library::Mesh => "MeshTonic",
                    Library::Grpc => "Grpc",
                };
                parts.extend([
                    ("namespace", namespace.to_owned()),
                    ("labels", labels.to_owned()),
                    ("port", port.to_string()),
                    ("family", family.to_owned()),
                ]);
            }
        }
        let given =
            [("method", &self.method), ("host", &self.host), ("ip", &self.ip), ("claims", &self.claims)];
        parts.extend(given.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
        parts.push(("headers", self.headers.join("\n")));
        let parts = parts.iter().map(|(name, value)| format!("{name}={}", percent_encoded(value)));
        format!("/v1/authz?{}", parts.collect::<Vec<_>>().join("&"))
    }
}

pub(super) async fn run(
    client: &AdminClient,
    arguments: &Arguments,
    output: Output,
) -> Result<ExitCode, Failure> {
    let answer: AuthzAnswer = client.get(&arguments.path()).await?;
    if !arguments.query.output.print(&answer, output) {
        answer.decisions.iter().for_each(|one| print(one, output));
    }
    Ok(ExitCode::from(code(&answer)))
}

fn print(one: &ServerDecision, output: Output) {
    let (style, verdict) = match one.decision.verdict {
        Verdict::Allowed => (Style::Good, "allowed"),
        Verdict::Denied => (Style::Bad, "denied"),
        _ => (Style::Uncertain, "open"),
    };
    let rest = format!(": {} ({})", one.decision.reason, one.listener);
    output.spans(&[(style, verdict.to_owned()), (Style::Plain, rest)]);
    if let Some(trial) = &one.decision.trial {
        output.line(&format!("  on trial: {trial}"));
    }
}

/// 0: every listener answers the call; 3: one refuses it; 4: that depends on what is not said.
fn code(answer: &AuthzAnswer) -> u8 {
    let any = |verdict| answer.decisions.iter().any(|one| one.decision.verdict == verdict);
    match (any(Verdict::Denied), answer.decisions.iter().all(|one| one.decision.verdict == Verdict::Allowed))
    {
        (true, _) => DENIED,
        (false, true) => 0,
        (false, false) => OPEN,
    }
}

const DENIED: u8 = 3;
const OPEN: u8 = 4;
