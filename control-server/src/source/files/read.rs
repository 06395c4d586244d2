//! Reads a file, however large or strange it is.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::fcntl::OFlag;

/// The text of a regular file of at most `limit` bytes. A device, a pipe or a socket is an error, and never waited for.
pub(crate) fn read_file(path: &Path, limit: u64) -> io::Result<String> {
    // A pipe is opened at once, and turned away as no regular file.
    let file = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    read_bounded(file, limit)
}

/// The text of at most `limit` bytes.
pub(crate) fn read_bounded(reader: impl Read, limit: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    reader.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let message = format!("it has more than {limit} bytes; split it into several files");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// The most bytes of a file of configuration.
pub(crate) const MAX_LENGTH: u64 = 64 * 1024 * 1024;
