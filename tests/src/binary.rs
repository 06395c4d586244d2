//! Finds the binaries of the workspace, and builds them where `cargo test -p` has not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// One build at a time in this process; cargo sees to it between processes.
static BUILDING: Mutex<()> = Mutex::new(());

/// The same for binaries that are built alone: tests that need others are not to wait for them.
static BUILDING_ALONE: Mutex<()> = Mutex::new(());

/// The folders whose sources end up in a binary of `package`, as far as they are ours.
fn source_folders(package: &str) -> impl Iterator<Item = &str> {
    ["mesh-core", "xds-client", "mesh-tonic"].into_iter().chain([package])
}

/// The binary `name` of `package`, built with the profile of the running test.
///
/// `cargo test --workspace` has built it already; a test of one package alone has not, or has left an older one. So it
/// is built here if it is missing or older than its sources.
///
/// # Panics
/// When it cannot be built.
pub fn workspace_binary(package: &str, name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a path");
    // target/PROFILE/deps/TEST
    let profile = test.ancestors().nth(2).expect("tests stand in target/PROFILE/deps");
    let binary = profile.join(name);
    let _building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    if !is_current(&binary, package) {
        build(package, name, profile, &[]);
        assert!(binary.exists(), "cargo build -p {package} has made no {}", binary.display());
        // Cargo leaves a binary alone that needs no rebuild; the next test is not to ask again.
        drop(
            fs::File::options()
                .append(true)
                .open(&binary)
                .and_then(|file| file.set_modified(SystemTime::now())),
        );
    }
    binary
}

fn is_current(binary: &Path, package: &str) -> bool {
    let Ok(built) = binary.metadata().and_then(|metadata| metadata.modified()) else {
        return false;
    };
    let root = xtask::workspace::root();
    source_folders(package)
        .all(|folder| newest(&root.join(folder).join("src")).is_none_or(|newest| newest <= built))
}

/// When the newest file under `folder` changed.
fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    entries
        .filter_map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => newest(&entry.path()),
            _ => entry.metadata().ok()?.modified().ok(),
        })
        .max()
}

/// The binary of `package` that has its name, with these of its features and without what the rest of the workspace asks of
/// their common dependencies: cargo builds `--workspace` with the features of all.
///
/// # Panics
/// When it cannot be built.
pub fn binary_built_alone(package: &str, features: &[&str]) -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a path");
    let profile = test.ancestors().nth(2).expect("tests stand in target/PROFILE/deps");
    let _building = BUILDING_ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // A folder of its own, so that a later build with other features does not replace it while it runs.
    let folder = profile.join("alone").join([&[package], features].concat().join("-"));
    build(package, package, profile, &["--features", &features.join(",")]);
    fs::create_dir_all(&folder).expect("target is writable");
    let copy = folder.join(package);
    drop(fs::remove_file(&copy));
    fs::copy(profile.join(package), &copy).expect("it has just been built");
    copy
}

fn build(package: &str, name: &str, profile: &Path, arguments: &[&str]) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let profile_name = match profile.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let target = profile.parent().unwrap_or(profile);
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--package", package, "--bin", name, "--profile", profile_name])
        .arg("--target-dir")
        .arg(target)
        .args(arguments)
        .current_dir(xtask::workspace::root())
        .stdin(Stdio::null())
        .output()
        .expect("cargo runs the tests, so it can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo build -p {package} --bin {name}:\n{said}");
}
