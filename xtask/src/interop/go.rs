//! Stock gRPC for Go.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::command::{clear, holds, run, sources, write};
use super::{is_required, python};
use crate::{Failure, output};

/// Where the sources of the programs stand.
const FOLDER: &str = "tests/interop/go";
/// Inside [`FOLDER`]: the versions that are built, of dependencies too.
const PINS: [&str; 2] = ["go.mod", "go.sum"];
/// Inside [`FOLDER`]: the Go that builds the programs where there is none.
const TOOLCHAIN: &str = "requirements.txt";
/// Inside [`FOLDER`]: the programs.
const PROGRAMS: &str = "bin";
/// Inside [`PROGRAMS`]: the sources that they were made from.
const STAMP: &str = "sources.stamp";

/// The folder of the programs `client` and `server`, if they are there and up to date.
pub fn go(root: &Path) -> Option<PathBuf> {
    let folder = root.join(FOLDER);
    let programs = folder.join(PROGRAMS);
    let made_from = sources(&folder, &PINS, ".go").ok()?;
    holds(&programs.join(STAMP), &made_from).then_some(programs)
}

/// Builds the programs with what `go.mod` pins, unless they are there and up to date.
///
/// # Errors
/// What is missing where it is required, or what `go` could not do.
pub(super) fn set_up(root: &Path) -> Result<(), Failure> {
    let folder = root.join(FOLDER);
    let programs = folder.join(PROGRAMS);
    if go(root).is_some() {
        output::line(format_args!("{FOLDER}/{PROGRAMS} is up to date"));
        return Ok(());
    }
    let toolchain = match Toolchain::find(root, &folder) {
        Ok(toolchain) => toolchain,
        Err(failure) if is_required() => return Err(failure),
        Err(failure) => {
            output::error(format_args!("WARNING: the interop tests with Go will not run: {failure}"));
            return Ok(());
        }
    };
    clear(&programs)?;
    output::line(format_args!("building {FOLDER}"));
    // Without symbols and C, which no test needs.
    // The slash makes it a folder.
    let to = format!("{PROGRAMS}/");
    let build = ["build", "-trimpath", "-ldflags=-s -w", "-o", &to, "./client", "./server"];
    run(toolchain.command(&folder).args(build))?;
    write(&programs.join(STAMP), &sources(&folder, &PINS, ".go")?)?;
    output::line(format_args!("{FOLDER}/{PROGRAMS} is ready"));
    Ok(())
}

/// A Go that is new enough.
struct Toolchain {
    program: OsString,
    /// Where it is installed while it is needed, unless the machine has one.
    _installed: Option<tempfile::TempDir>,
}

impl Toolchain {
    /// The machine's, or the one that [`TOOLCHAIN`] pins.
    fn find(root: &Path, folder: &Path) -> Result<Self, Failure> {
        let own = Self { program: std::env::var_os("GO").unwrap_or_else(|| "go".into()), _installed: None };
        let Err(missing) = own.check(folder) else { return Ok(own) };
        output::line(format_args!("installing {FOLDER}/{TOOLCHAIN}: {missing}"));
        let need = |failure| {
            Failure::new(format!(
                "the interop tests with Go need the Go that {FOLDER}/go.mod names (set GO to name one): {missing}; {failure}"
            ))
        };
        let installed = tempfile::tempdir().map_err(|error| Failure::during("a temporary folder", error))?;
        python::install_into(root, &folder.join(TOOLCHAIN), installed.path()).map_err(need)?;
        let pinned = Self { program: installed.path().join("go/bin/go").into(), _installed: Some(installed) };
        pinned.check(folder).map_err(need)?;
        Ok(pinned)
    }

    /// Go reads `go.mod` only if it is new enough, or may install a newer one by itself.
    fn check(&self, folder: &Path) -> Result<(), Failure> {
        run(self.command(folder).args(["list", "-m"])).map(drop)
    }

    fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(folder).env("CGO_ENABLED", "0").env("GOWORK", "off");
        command
    }
}
