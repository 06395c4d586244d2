//! Stock gRPC for Node.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::command::{clear, is_current, run, stamp};
use super::is_required;
use crate::{Failure, output};

/// Where the programs stand, and beside them what they need.
const FOLDER: &str = "tests/interop/node";
/// What is installed, each version pinned, of dependencies too.
const LOCK: &str = "package-lock.json";
/// Where `npm` installs.
const MODULES: &str = "node_modules";
/// Inside [`MODULES`]: the lock file that it was made from.
const STAMP: &str = "lock.stamp";
/// The oldest release line that is still looked after by its makers and that the packages run on.
const OLDEST: u32 = 18;

/// A Node that has stock gRPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The interpreter.
    pub program: OsString,
    /// Where the programs stand.
    pub folder: PathBuf,
}

/// Node with what its programs need, if that is there and up to date.
pub fn node(root: &Path) -> Option<Node> {
    let program = program();
    let folder = root.join(FOLDER);
    (is_installed(&folder) && version(&program).is_ok()).then_some(Node { program, folder })
}

/// Installs what `package-lock.json` pins, unless it is there and up to date.
///
/// # Errors
/// What is missing where it is required, or what `npm` could not do.
pub(super) fn set_up(root: &Path) -> Result<(), Failure> {
    let folder = root.join(FOLDER);
    let found = version(&program()).and_then(|_| run(Command::new(npm()).arg("--version")).map(drop));
    match found {
        Ok(()) => {}
        Err(failure) if is_required() => return Err(failure),
        Err(failure) => {
            output::error(format_args!("WARNING: the interop tests with Node will not run: {failure}"));
            return Ok(());
        }
    }
    let modules = folder.join(MODULES);
    if is_installed(&folder) {
        output::line(format_args!("{FOLDER}/{MODULES} is up to date"));
        return Ok(());
    }
    clear(&modules)?;
    output::line(format_args!("installing {FOLDER}/{LOCK}"));
    // No package's own script runs: none is needed.
    let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"];
    run(Command::new(npm()).args(arguments).arg(&folder))?;
    stamp(&folder.join(LOCK), &modules.join(STAMP))?;
    output::line(format_args!("{FOLDER}/{MODULES} is ready"));
    Ok(())
}

fn is_installed(folder: &Path) -> bool {
    is_current(&folder.join(LOCK), &folder.join(MODULES).join(STAMP))
}

fn program() -> OsString {
    std::env::var_os("NODE").unwrap_or_else(|| "node".into())
}

fn npm() -> OsString {
    std::env::var_os("NPM").unwrap_or_else(|| "npm".into())
}

/// What Node says it is, if it is new enough.
fn version(program: &OsString) -> Result<String, Failure> {
    let need = format!("the interop tests with Node need Node {OLDEST} or later with npm");
    let found = run(Command::new(program).arg("--version"))
        .map_err(|failure| Failure::new(format!("{need} (set NODE and NPM to name others): {failure}")))?;
    let major = found.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(OLDEST..) => Ok(found),
        _ => Err(Failure::new(format!("{need}: `{}` is {found}", program.display()))),
    }
}
