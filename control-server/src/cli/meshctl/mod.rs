//! `meshctl`: looks at a control server, checks configuration, prints bootstraps.

mod admin;
mod approve;
mod authz;
mod bootstrap;
mod clients;
mod endpoints;
mod load;
mod providers;
mod resources;
mod route;
mod schema;
mod server_address;
mod services;
mod status;
mod validate;
mod viewer;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;

use super::{Failure, Output};

use admin::AdminClient;

/// Looks at a control server, checks configuration, prints bootstraps.
#[derive(Debug, Parser)]
#[command(name = "meshctl", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// How the control server and its configuration stand; exit code 0 only if it is ready, with --strict only without errors
    Status(status::Arguments),
    /// Who is connected, and whether every client has what it asked for
    Clients(clients::Arguments),
    /// The services that clients are served, with ports, endpoints and where each is declared
    Services(services::Arguments),
    /// The endpoints of a service: address, locality, weight, health, and where each is declared
    Endpoints(endpoints::Arguments),
    /// Which route a client takes for a call, and why not the ones before; exit code 0 if an endpoint may get it, 3 if it fails
    Route(Box<route::Arguments>),
    /// How many calls clients make, by cluster and locality
    Load(load::Arguments),
    /// What is served under which name, and for which clients
    Resources(resources::Arguments),
    /// Whether a server answers a call, and by which rule; exit code 0 if it does, 3 if not, 4 if that is open
    Authz(Box<authz::Arguments>),
    /// Let a change take effect that waits because it removes much
    Approve(approve::Arguments),
    /// Check configuration without a server; exit code 1 if there are errors
    Validate(validate::Arguments),
    /// Print the JSON schema of a configuration kind, or of all
    Schema(schema::Arguments),
    /// Print the bootstrap JSON for a gRPC client or server in some language
    Bootstrap(Box<bootstrap::Arguments>),
}

/// A question to the admin API.
#[derive(Debug, Args)]
struct Query {
    /// Address of the control server's admin API
    #[arg(long, value_name = "ADDR", env = "MESHCTL_ADMIN", default_value = "127.0.0.1:15080")]
    admin: String,
    /// How to print the answer
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// The same with more columns
    Wide,
    /// For programs; stable within a major version
    Json,
    /// The fields of the JSON as YAML
    Yaml,
}

impl Format {
    /// Prints the answer, if this format is for programs.
    fn print(self, answer: &impl Serialize, output: Output) -> bool {
        match self {
            Self::Table | Self::Wide => return false,
            Self::Json => output.json(answer),
            Self::Yaml => output.yaml(answer),
        }
        true
    }

    fn is_wide(self) -> bool {
        self == Self::Wide
    }
}

/// Runs the program with these arguments, the program's name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match execute(arguments.command) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

fn execute(command: Command) -> Result<ExitCode, Failure> {
    let output = Output::new();
    match command {
        Command::Status(arguments) => ask(async {
            let client = AdminClient::new(&arguments.query.admin)?;
            status::run(&client, &arguments, output).await
        }),
        Command::Clients(arguments) => ask(async {
            let client = AdminClient::new(&arguments.query.admin)?;
            clients::run(&client, &arguments, output).await
        }),
        Command::Services(arguments) => ask(async {
            let client = AdminClient::new(&arguments.query.admin)?;
            services::run(&client, &arguments, output).await
        }),
        Command::Endpoints(arguments) => ask(async {
            let client = AdminClient::new(&arguments.query.admin)?;
            endpoints::run(&client, &arguments, output).await
        }),
        Command::Route(arguments) => ask(async {
            let client = AdminClient::new(&arguments.query.admin)?;
            route::run(&client, &arguments, output).await
        }),
        Command::Load(arguments) => ask(async {
            let client = AdminClient::new(&arguments.query.admin)?;
            load::run(&client, &arguments, output).await
        }),
        Command::Resources(arguments) => ask(async {
            let client = arguments.client()?;
            resources::run(&client, &arguments, output).await
        }),
        Command::Authz(arguments) => ask(async {
            let client = AdminClient::new(&arguments.query.admin)?;
            authz::run(&client, &arguments, output).await
        }),
        Command::Approve(arguments) => ask(async {
            let client = AdminClient::new(&arguments.admin)?;
            approve::run(&client, arguments.id.as_deref(), output).await
        }),
        Command::Validate(arguments) => validate::run(&arguments, output),
        Command::Schema(arguments) => schema::run(&arguments, output),
        Command::Bootstrap(arguments) => Ok(bootstrap::run(&arguments, output)),
    }
}

fn ask(question: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(question)
}
