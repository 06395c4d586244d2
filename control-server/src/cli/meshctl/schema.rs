//! `meshctl schema`: JSON schemas of the configuration kinds, for editors and checks.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value};

use crate::cli::{Failure, Output};
use crate::kinds::{Kind, schema};
use crate::yaml::did_you_mean;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Such as VirtualService; without it, a JSON object with the schema of every kind
    #[arg(value_name = "KIND")]
    kind: Option<String>,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<ExitCode, Failure> {
    match &arguments.kind {
        Some(name) => output.json(&schema(find(name)?)),
        None => {
            let all = Kind::ALL.into_iter().map(|kind| (kind.name().to_owned(), schema(kind)));
            output.json(&Value::Object(all.collect::<Map<_, _>>()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The kind of that name, whatever its case.
fn find(name: &str) -> Result<Kind, Failure> {
    let names = Kind::ALL.map(Kind::name);
    Kind::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name)).ok_or_else(|| {
        let hint = did_you_mean(name, names);
        Failure::new(format!("unknown kind `{name}`, expected one of {}{hint}", names.join(", ")))
    })
}
