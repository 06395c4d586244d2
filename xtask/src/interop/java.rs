//! Stock gRPC for Java.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::command::{clear, holds, run, sources, write};
use super::is_required;
use crate::{Failure, output};

/// Where the sources of the programs stand.
const FOLDER: &str = "tests/interop/java";
/// Inside [`FOLDER`]: the versions that are built; they name the versions of their own dependencies.
const PINS: [&str; 1] = ["pom.xml"];
/// Inside [`FOLDER`]: the programs and the libraries that they need.
const PROGRAMS: &str = "target";
/// Inside [`PROGRAMS`]: the sources that they were made from.
const STAMP: &str = "sources.stamp";
/// The release that the sources are written in.
const OLDEST: u32 = 17;

/// A Java that has programs on stock gRPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Java {
    /// The virtual machine.
    pub program: OsString,
    /// Where it finds the programs.
    pub class_path: OsString,
}

/// Java with the programs `interop.GreeterClient` and `interop.GreeterServer`, if that is there and up to date.
pub fn java(root: &Path) -> Option<Java> {
    let folder = root.join(FOLDER);
    let programs = folder.join(PROGRAMS);
    let program = tool("java");
    let made_from = sources(&folder, &PINS, ".java").ok()?;
    if !holds(&programs.join(STAMP), &made_from) || version(&program).is_err() {
        return None;
    }
    let class_path = std::env::join_paths([programs.join("classes"), programs.join("lib/*")]).ok()?;
    Some(Java { program, class_path })
}

/// Builds the programs with what `pom.xml` pins, unless they are there and up to date.
///
/// # Errors
/// What is missing where it is required, or what `mvn` could not do.
pub(super) fn set_up(root: &Path) -> Result<(), Failure> {
    let folder = root.join(FOLDER);
    let programs = folder.join(PROGRAMS);
    if java(root).is_some() {
        output::line(format_args!("{FOLDER}/{PROGRAMS} is up to date"));
        return Ok(());
    }
    let found = version(&tool("java"))
        .and_then(|()| version(&tool("javac")))
        .and_then(|()| run(Command::new(maven()).arg("--version")).map(drop).map_err(needed));
    match found {
        Ok(()) => {}
        Err(failure) if is_required() => return Err(failure),
        Err(failure) => {
            output::error(format_args!("WARNING: the interop tests with Java will not run: {failure}"));
            return Ok(());
        }
    }
    clear(&programs)?;
    output::line(format_args!("building {FOLDER}"));
    // The goals alone: no other plugin of Maven is downloaded.
    let build = ["--quiet", "--batch-mode", "compiler:compile", "dependency:copy-dependencies"];
    run(Command::new(maven()).args(build).current_dir(&folder))?;
    write(&programs.join(STAMP), &sources(&folder, &PINS, ".java")?)?;
    output::line(format_args!("{FOLDER}/{PROGRAMS} is ready"));
    Ok(())
}

/// A tool of the JDK, from where Maven takes it.
fn tool(name: &str) -> OsString {
    match std::env::var_os("JAVA_HOME") {
        Some(home) => PathBuf::from(home).join("bin").join(name).into(),
        None => name.into(),
    }
}

fn maven() -> OsString {
    std::env::var_os("MVN").unwrap_or_else(|| "mvn".into())
}

/// Whether `java` or `javac` is new enough.
fn version(program: &OsString) -> Result<(), Failure> {
    let found = run(Command::new(program).arg("--version")).map_err(needed)?;
    // `openjdk 17.0.15 2025-04-15`, `javac 21`
    let major = found.split_whitespace().nth(1).and_then(|version| version.split(['.', '-', '+']).next());
    match major.and_then(|major| major.parse::<u32>().ok()) {
        Some(OLDEST..) => Ok(()),
        _ => Err(needed(Failure::new(format!("`{}` is {found}", program.display())))),
    }
}

fn needed(failure: Failure) -> Failure {
    let need = format!(
        "the interop tests with Java need a JDK {OLDEST} or later and Maven (set JAVA_HOME and MVN to name them; \
         on Debian and Ubuntu: the packages default-jdk-headless and maven)"
    );
    Failure::during(need, failure)
}
