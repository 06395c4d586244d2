//! `meshctl validate`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use crate::cli::output::{Span, Style};
use crate::cli::{Failure, Output, output};
use crate::pipeline::{Input, Links, PassedOver, Validation};
use crate::state::{Code, Diagnostic, Severity};

use super::Format;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// YAML file, or folder with all its subfolders; `-` is standard input
    #[arg(short = 'f', long = "file", value_name = "PATH", required = true, num_args = 1..)]
    paths: Vec<PathBuf>,
    /// Read links in a folder that lead out of it, as `control-server serve --follow-links` does
    #[arg(long)]
    follow_links: bool,
    /// Treat documents of other kinds, which are passed over, as errors
    #[arg(long)]
    strict: bool,
    /// How to print what was found
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> Result<ExitCode, Failure> {
    let inputs = arguments.paths.iter().map(|path| input(path)).collect::<Result<Vec<_>, _>>()?;
    let links = if arguments.follow_links { Links::Anywhere } else { Links::Inside };
    let Validation { mut diagnostics, objects, files, passed_over } = Validation::of(&inputs, links);
    if arguments.strict {
        diagnostics.extend(passed_over.iter().map(unknown_kind));
    }
    let errors = diagnostics.iter().filter(|found| found.severity == Severity::Error).count();
    if !arguments.output.print(&diagnostics, output) {
        diagnostics.iter().for_each(|found| output.spans(&line(found)));
    }
    let warnings = diagnostics.iter().filter(|found| found.severity == Severity::Warning).count();
    let (objects, files) = (output::count(objects, "object"), output::count(files, "file"));
    let (found, warned) = (output::count(errors, "error"), output::count(warnings, "warning"));
    output::note(&format!("{found}, {warned}; {objects} in {files}"));
    if !passed_over.is_empty() && !arguments.strict {
        output::note(&other_kinds(&passed_over));
    }
    Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn unknown_kind(one: &PassedOver) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        code: Code::UnknownKind,
        file: one.file.clone(),
        line: one.line,
        column: one.column,
        object: String::new(),
        field: String::new(),
        message: format!("{} is none of the kinds that the control server knows", one.kind),
        clients: Vec::new(),
    }
}

/// `passed over 3 documents of other kinds: Deployment of apps/v1 (2), Job of batch/v1 (1)`.
fn other_kinds(passed_over: &[PassedOver]) -> String {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for one in passed_over {
        *kinds.entry(&one.kind).or_default() += 1;
    }
    let kinds: Vec<_> = kinds.iter().map(|(kind, count)| format!("{kind} ({count})")).collect();
    let documents = output::count(passed_over.len(), "document");
    format!("passed over {documents} of other kinds: {}", kinds.join(", "))
}

fn input(path: &Path) -> Result<Input, Failure> {
    if path != Path::new("-") {
        return Ok(Input::Path(path.to_owned()));
    }
    Ok(Input::read("<stdin>", std::io::stdin())?)
}

/// In the format of compilers, the severity in colour.
fn line(found: &Diagnostic) -> Vec<Span> {
    let (severity, style) = match found.severity {
        Severity::Error => ("error:", Style::Bad),
        Severity::Warning => ("warning:", Style::Uncertain),
        Severity::Info => ("info:", Style::Plain),
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
