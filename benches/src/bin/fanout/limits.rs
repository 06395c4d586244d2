//! Enough file descriptors for a socket per client, here and in the server, which inherits them.

use anyhow::{Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

pub(crate) fn raise_open_files(wanted: u64) -> Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft >= wanted {
        return Ok(());
    }
    ensure!(
        hard >= wanted,
        "at most {hard} open files are allowed, {wanted} are needed: use fewer --clients"
    );
    Ok(setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)?)
}
