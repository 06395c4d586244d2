//! What comes as packages for Python: stock gRPC, and Envoy.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::command::{clear, is_current, run, stamp};
use crate::{Failure, output};

/// What is installed, each version pinned.
const REQUIREMENTS: &str = "tests/interop/requirements.txt";
/// Where it is installed.
const FOLDER: &str = ".venv";
/// Inside [`FOLDER`]: the requirements that it was made from.
const STAMP: &str = "requirements.stamp";
/// How `pip` installs.
const INSTALL: [&str; 5] =
    ["install", "--quiet", "--no-input", "--disable-pip-version-check", "--only-binary=:all:"];

/// Asks a Python whether it is new enough and has what an environment needs: prints `venv`, `pip` or both.
const PROBE: &str = "import importlib.util, sys\n\
                     if sys.version_info < (3, 10): sys.exit('it is ' + sys.version.split()[0])\n\
                     print(*[m for m in ('ensurepip', 'pip', 'venv') if importlib.util.find_spec(m)])";

/// The Python of the environment, if that is there and up to date.
pub fn python(root: &Path) -> Option<PathBuf> {
    program(root, "python")
}

/// The Envoy of the environment, if that is there and up to date; there are none for other systems than Linux.
pub fn envoy(root: &Path) -> Option<PathBuf> {
    program(root, "envoy")
}

/// Makes the environment, unless it is there and up to date.
///
/// # Errors
/// What is missing on this machine, or what `pip` could not do.
pub(super) fn set_up(root: &Path) -> Result<(), Failure> {
    if let Some(python) = python(root)
        && run(Command::new(&python).args(["-c", "import grpc, grpc_csds, grpc_tools, re2"])).is_ok()
    {
        output::line(format_args!("{FOLDER} is up to date"));
        return Ok(());
    }
    let base = base();
    let modules = probe(&base)?;
    let has = |name: &str| modules.split_whitespace().any(|module| module == name);
    if !has("venv") || !(has("ensurepip") || has("pip")) {
        return Err(Failure::new(format!(
            "{} has {}; an environment needs venv and pip (on Debian and Ubuntu: the package python3-venv)",
            base.display(),
            if modules.is_empty() { "neither venv nor pip" } else { modules.as_str() },
        )));
    }
    let folder = root.join(FOLDER);
    clear(&folder)?;
    create(&base, &folder, has("ensurepip"))?;
    install(&base, root, has("ensurepip"))?;
    stamp(&root.join(REQUIREMENTS), &folder.join(STAMP))?;
    output::line(format_args!("{FOLDER} is ready"));
    Ok(())
}

fn program(root: &Path, name: &str) -> Option<PathBuf> {
    let folder = root.join(FOLDER);
    let program = folder.join("bin").join(name);
    (is_current(&root.join(REQUIREMENTS), &folder.join(STAMP)) && program.exists()).then_some(program)
}

fn base() -> OsString {
    std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into())
}

fn probe(base: &OsString) -> Result<String, Failure> {
    run(Command::new(base).args(["-c", PROBE])).map_err(|failure| {
        Failure::new(format!(
            "the interop tests need Python 3.10 or later as `{}` (set PYTHON to name another): {failure}",
            base.display()
        ))
    })
}

fn create(base: &OsString, folder: &Path, with_pip: bool) -> Result<(), Failure> {
    output::line(format_args!("making {FOLDER}"));
    let mut command = Command::new(base);
    command.args(["-m", "venv"]);
    if !with_pip {
        command.arg("--without-pip");
    }
    run(command.arg(folder)).map(drop)
}

/// Installs packages for nothing but their files, into a folder of their own. The environment must be there.
///
/// # Errors
/// What `pip` could not do.
pub(super) fn install_into(root: &Path, requirements: &Path, folder: &Path) -> Result<(), Failure> {
    let base = base();
    let with_pip = probe(&base)?.contains("ensurepip");
    let mut command = pip(&base, root, with_pip);
    run(command.args(INSTALL).arg("--target").arg(folder).arg("-r").arg(requirements)).map(drop)
}

fn install(base: &OsString, root: &Path, with_pip: bool) -> Result<(), Failure> {
    output::line(format_args!("installing {REQUIREMENTS}"));
    run(pip(base, root, with_pip).args(INSTALL).arg("-r").arg(root.join(REQUIREMENTS))).map(drop)
}

/// Without `ensurepip` the environment has no pip of its own, and the base's installs into it.
fn pip(base: &OsString, root: &Path, with_pip: bool) -> Command {
    let python = root.join(FOLDER).join("bin/python");
    if with_pip {
        let mut own = Command::new(&python);
        own.args(["-m", "pip"]);
        own
    } else {
        let mut outer = Command::new(base);
        outer.args(["-m", "pip", "--python"]).arg(&python);
        outer
    }
}
