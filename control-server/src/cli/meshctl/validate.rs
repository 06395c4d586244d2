//! `meshctl validate`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use crate::cli::output::{Span, Style};
use crate::cli::{Failure, Output, output};
use crate::pipeline::{self, Input};
use crate::state::{Diagnostic, Severity};

use super::Format;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// YAML file, or folder with all its subfolders; `-` is standard input
    #[arg(short = 'f', long = "file", value_name = "PATH", required = true, num_args = 1..)]
    paths: Vec<PathBuf>,
    /// How to print what was found
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<ExitCode, Failure> {
    let inputs = arguments.paths.iter().map(|path| input(path)).collect::<Result<Vec<_>, _>>()?;
    let diagnostics = pipeline::validate(&inputs);
    let errors = diagnostics.iter().filter(|found| found.severity == Severity::Error).count();
    match arguments.output {
        Format::Json => output.json(&diagnostics),
        Format::Table => diagnostics.iter().for_each(|found| output.spans(&line(found))),
    }
    let warnings = diagnostics.len() - errors;
    output::note(&format!("{}, {}", output::count(errors, "error"), output::count(warnings, "warning")));
    Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn input(path: &Path) -> Result<Input, Failure> {
    if path != Path::new("-") {
        return Ok(Input::Path(path.to_owned()));
    }
    let text = std::io::read_to_string(std::io::stdin())?;
    Ok(Input::Text { name: "<stdin>".to_owned(), text })
}

/// In the format of compilers, the severity in colour.
fn line(found: &Diagnostic) -> Vec<Span> {
    let (severity, style) = match found.severity {
        Severity::Error => ("error:", Style::Bad),
        Severity::Warning => ("warning:", Style::Uncertain),
    };
    let text = found.to_string();
    match text.split_once(severity) {
        Some((place, message)) => vec![
            (Style::Plain, place.to_owned()),
            (style, severity.to_owned()),
            (Style::Plain, message.to_owned()),
        ],
        None => vec![(Style::Plain, text)],
    }
}
