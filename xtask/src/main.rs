//! `cargo xtask <command>`: the project's own commands.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::check::{self, Step};
use xtask::{Failure, conformance, interop, layering, output, protos, public_api, workspace};

/// The project's own commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run what CI runs: fmt, layering, conformance, clippy, test, doc.
    Check {
        /// Run only this step; may be given several times.
        #[arg(long, value_name = "NAME", value_parser = Step::named, conflicts_with = "skip")]
        step: Vec<Step>,
        /// Leave this step out; may be given several times.
        #[arg(long, value_name = "NAME", value_parser = Step::named)]
        skip: Vec<Step>,
    },
    /// Hold the arrows and invariants of the house: imports, forbidden words, sizes, Cargo.lock, public surface, generated code.
    Layering,
    /// Compare docs/conformance.md with what the tests prove.
    Conformance {
        /// Rewrite the status column; without it, differences are an error.
        #[arg(long, conflicts_with = "check")]
        write: bool,
        /// The default: fail when the page and the tests differ.
        #[arg(long)]
        check: bool,
    },
    /// Compare docs/public-api with what the library crates show.
    PublicApi {
        /// Rewrite the listings; without it, differences are an error.
        #[arg(long)]
        write: bool,
    },
    /// Compare the code of xds-proto with its declarations.
    Protos {
        /// Write the code anew; without it, differences are an error.
        #[arg(long)]
        write: bool,
    },
    /// Install what the interop tests call: stock gRPC for Python and Envoy into .venv, stock gRPC for Node, Go and Java.
    InteropSetup,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::error(format_args!("error: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Check { step, skip } => check::run(&chosen(&step, &skip)),
        Command::Layering => {
            let root = workspace::root();
            layering::check(&root)?;
            public_api::check(&root)?;
            protos::check(&root)
        }
        Command::Conformance { write, check: _ } => {
            let root = workspace::root();
            let summary = if write { conformance::write(&root)? } else { conformance::check(&root)? };
            output::line(summary);
            Ok(())
        }
        Command::PublicApi { write: true } => public_api::write(&workspace::root()),
        Command::PublicApi { write: false } => public_api::check(&workspace::root()),
        Command::Protos { write: true } => protos::write(&workspace::root()),
        Command::Protos { write: false } => protos::check(&workspace::root()),
        Command::InteropSetup => interop::set_up(&workspace::root()),
    }
}

fn chosen(only: &[Step], skip: &[Step]) -> Vec<Step> {
    Step::ALL
        .into_iter()
        .filter(|step| (only.is_empty() || only.contains(step)) && !skip.contains(step))
        .collect()
}
