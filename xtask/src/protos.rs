//! The Rust code of xds-proto, generated from the declarations in its folder `proto`.
//!
//! It is committed: generating it takes compilers of protobuf, and these would be built with every program that uses the mesh.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tonic_prost_build::FileDescriptorSet;

use crate::Failure;
use crate::workspace::{self, File};

/// The declarations.
const PROTOS: &str = "xds-proto/proto";

/// The code.
const GENERATED: &str = "xds-proto/src/generated";

/// Fails unless the code is what the declarations make.
///
/// # Errors
/// The files that differ, and declarations that do not compile.
pub fn check(root: &Path) -> Result<(), Failure> {
    let folder = tempfile::tempdir().map_err(|error| Failure::during("a temporary folder", error))?;
    generate(root, folder.path())?;
    let (made, committed) = (contents(folder.path())?, contents(&root.join(GENERATED))?);
    let names = made.keys().chain(committed.keys().filter(|name| !made.contains_key(*name)));
    let different: Vec<_> =
        names.filter(|name| made.get(*name) != committed.get(*name)).map(String::as_str).collect();
    if different.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{GENERATED} differs from {PROTOS} in {}; run: cargo xtask protos --write",
        different.join(", ")
    )))
}

/// Writes the code anew.
///
/// # Errors
/// Declarations that do not compile, and files that cannot be written.
pub fn write(root: &Path) -> Result<(), Failure> {
    let folder = root.join(GENERATED);
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| Failure::during(GENERATED, error))?;
    }
    fs::create_dir_all(&folder).map_err(|error| Failure::during(GENERATED, error))?;
    generate(root, &folder)
}

fn generate(root: &Path, into: &Path) -> Result<(), Failure> {
    let mut config = tonic_prost_build::Config::new();
    config.enable_type_names().type_name_domain(["."], "type.googleapis.com").disable_comments(["."]);
    tonic_prost_build::configure()
        .compile_well_known_types(true)
        // `connect` would need tonic's own channels.
        .build_transport(false)
        .server_mod_attribute(".", "#[cfg(feature = \"server\")]")
        .out_dir(into)
        .include_file("mod.rs")
        .compile_fds_with_config(descriptors(root)?, config)
        .map_err(|error| Failure::during(PROTOS, error))
}

fn descriptors(root: &Path) -> Result<FileDescriptorSet, Failure> {
    let folder = root.join(PROTOS);
    let files = workspace::files(&folder, ".proto")?;
    protox::compile(files.iter().map(|file| folder.join(&file.path)), [&folder])
        .map_err(|error| Failure::during(PROTOS, error))
}

/// The files of a folder by their names.
fn contents(folder: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let files = workspace::files(folder, ".rs")?;
    Ok(files.into_iter().map(|File { path, text }| (path, text)).collect())
}
