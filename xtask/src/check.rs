//! What CI runs: the steps, in order, each with its time; stops at the first that fails.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::{Failure, conformance, layering, output, protos, public_api, workspace};

/// One step of the check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// `cargo fmt --check`
    Fmt,
    /// The arrows and invariants of the house, its public surface, and its generated code.
    Layering,
    /// `docs/conformance.md` says what the tests say.
    Conformance,
    /// `cargo clippy` with every warning an error.
    Clippy,
    /// README's test command.
    Test,
    /// `cargo doc` with every warning an error.
    Doc,
}

impl Step {
    /// All steps in the order in which they run: the quick ones first.
    pub const ALL: [Self; 6] =
        [Self::Fmt, Self::Layering, Self::Conformance, Self::Clippy, Self::Test, Self::Doc];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Layering => "layering",
            Self::Conformance => "conformance",
            Self::Clippy => "clippy",
            Self::Test => "test",
            Self::Doc => "doc",
        }
    }

    /// The step of this name.
    ///
    /// # Errors
    /// The names there are.
    pub fn named(name: &str) -> Result<Self, Failure> {
        Self::ALL.into_iter().find(|step| step.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|step| step.name()).collect();
            Failure::new(format!("no step of this name; there are: {}", names.join(", ")))
        })
    }

    fn run(self, root: &Path) -> Result<(), Failure> {
        match self {
            Self::Fmt => cargo(root, &["fmt", "--all", "--check"], &[]),
            Self::Layering => layering::check(root)
                .and_then(|()| public_api::check(root))
                .and_then(|()| protos::check(root)),
            Self::Conformance => conformance::check(root).map(output::line),
            Self::Clippy => {
                // First as users build it: the tests' dependencies switch on the feature `testing` for everything.
                cargo(root, &["clippy", "--workspace", "--", "-D", "warnings"], &[])?;
                cargo(root, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], &[])
            }
            Self::Test => cargo(root, &["test", "--workspace"], &[]),
            Self::Doc => {
                cargo(root, &["doc", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")])
            }
        }
    }
}

/// Runs `steps` in the workspace; prints each with its time.
///
/// # Errors
/// The first step that fails; those after it are not run.
pub fn run(steps: &[Step]) -> Result<(), Failure> {
    let root = workspace::root();
    let began = Instant::now();
    for step in steps {
        let name = step.name();
        output::line(format_args!("==> {name}"));
        let step_began = Instant::now();
        step.run(&root).map_err(|failure| {
            Failure::new(format!(
                "{failure}\ncheck FAILED at step `{name}`; run it alone with: cargo xtask check --step {name}"
            ))
        })?;
        output::line(format_args!("==> {name}: ok in {:.1} s", step_began.elapsed().as_secs_f64()));
    }
    output::line(format_args!(
        "check passed: {} steps in {:.1} s",
        steps.len(),
        began.elapsed().as_secs_f64()
    ));
    Ok(())
}

fn cargo(root: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Result<(), Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let shown = format!("cargo {}", arguments.join(" "));
    output::line(format_args!("    {shown}"));
    let status = Command::new(cargo)
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(root)
        .status()
        .map_err(|error| Failure::during(&shown, error))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("`{shown}` ended with {status}"))) }
}
