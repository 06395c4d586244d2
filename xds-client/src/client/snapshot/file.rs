//! The snapshot's file: a line that names the format, a checksum, and one message for all resources of a
//! server and type that were last in use at the same time: its nonce is the time.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::Hasher as _;
use std::io::{self, Write as _};
use std::path::Path;

use bytes::Bytes;
use mesh_core::config::Name;
use prost::Message;
use twox_hash::XxHash64;
use xds_proto::envoy::service::discovery::v3::{DeltaDiscoveryResponse, Resource};
use xds_proto::google::protobuf::Any;

/// One resource, and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    /// By its URI.
    pub(super) server: String,
    pub(super) type_url: String,
    pub(super) name: Name,
    pub(super) version: Name,
    pub(super) bytes: Bytes,
    /// When it was last in use, in seconds since 1970; 0: not known.
    pub(super) used: u64,
}

impl Entry {
    fn read(head: &DeltaDiscoveryResponse, resource: Resource) -> Self {
        let Resource { name, version, resource, .. } = resource;
        Self {
            server: head.system_version_info.clone(),
            type_url: head.type_url.clone(),
            name: name.into(),
            version: version.into(),
            bytes: resource.unwrap_or_default().value.into(),
            used: head.nonce.parse().unwrap_or_default(),
        }
    }

    fn to_resource(&self) -> Resource {
        let any = Any { type_url: self.type_url.clone(), value: self.bytes.to_vec() };
        let (name, version) = (self.name.to_string(), self.version.to_string());
        Resource { name, version, resource: Some(any), ..Resource::default() }
    }
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it is larger than {MAX_SIZE} bytes")]
    TooLarge,
    #[error("it is not a snapshot of this version")]
    Format,
    #[error("it is truncated or damaged: its checksum is wrong")]
    Checksum,
    #[error("it is damaged: {0}")]
    Message(#[from] prost::DecodeError),
}

/// Every entry; none if there is no file.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, ReadError> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        found => {
            if found?.len() > MAX_SIZE {
                return Err(ReadError::TooLarge);
            }
        }
    }
    parse(&fs::read(path)?)
}

fn parse(bytes: &[u8]) -> Result<Vec<Entry>, ReadError> {
    let rest = bytes.strip_prefix(HEADER).ok_or(ReadError::Format)?;
    let (checksum, mut body) = rest.split_first_chunk::<8>().ok_or(ReadError::Checksum)?;
    if *checksum != hash(body) {
        return Err(ReadError::Checksum);
    }
    let mut entries = Vec::new();
    while !body.is_empty() {
        let mut message = DeltaDiscoveryResponse::decode_length_delimited(&mut body)?;
        let resources = std::mem::take(&mut message.resources);
        entries.extend(resources.into_iter().map(|resource| Entry::read(&message, resource)));
    }
    Ok(entries)
}

/// Replaces the file in one step.
pub(super) fn write(path: &Path, entries: &[Entry]) -> io::Result<()> {
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(&encode(entries))?;
        file.sync_all()
    });
    let replaced = written.and_then(|()| fs::rename(&temporary, path));
    if replaced.is_err() {
        _ = fs::remove_file(&temporary);
    }
    replaced
}

fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut messages: BTreeMap<(&str, &str, u64), DeltaDiscoveryResponse> = BTreeMap::new();
    for entry in entries {
        let Entry { server, type_url, used, .. } = entry;
        let message = messages.entry((server, type_url, *used)).or_insert_with(|| DeltaDiscoveryResponse {
            system_version_info: server.clone(),
            type_url: type_url.clone(),
            nonce: used.to_string(),
            ..DeltaDiscoveryResponse::default()
        });
        message.resources.push(entry.to_resource());
    }
    let mut body = Vec::new();
    for message in messages.values() {
        body.extend(message.encode_length_delimited_to_vec());
    }
    [HEADER, &hash(&body), &body].concat()
}

fn hash(body: &[u8]) -> [u8; 8] {
    let mut hash = XxHash64::with_seed(0);
    hash.write(body);
    hash.finish().to_be_bytes()
}

const HEADER: &[u8] = b"mesh-rs last-good xDS 1\n";

/// Far above any configuration that a process can use.
const MAX_SIZE: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        let entry = |server: &str, name: &str, used| Entry {
            server: server.to_owned(),
            type_url: "type.googleapis.com/x".to_owned(),
            name: name.into(),
            version: "1".into(),
            bytes: Bytes::from_static(b"\x0a\x01a"),
            used,
        };
        vec![entry("a:1", "one", 7), entry("a:1", "two", 7), entry("a:1", "three", 9), entry("b:1", "one", 7)]
    }

    #[test]
    fn snapshot_is_read_as_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snapshot");
        assert_eq!(read(&path).unwrap(), [], "no file is no snapshot");
        write(&path, &entries()[..1]).unwrap();
        write(&path, &entries()).unwrap();
        assert_eq!(read(&path).unwrap(), entries());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    /// Scenario 7: any damage to the file is an error, never a panic.
    #[test]
    fn damaged_file_is_refused_wherever_the_damage_is() {
        let whole = encode(&entries());
        for length in 0..whole.len() {
            assert!(parse(&whole[..length]).is_err(), "truncated to {length}");
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x20;
            assert!(parse(&damaged).is_err(), "damaged at {at}");
        }
        let body = b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        assert!(matches!(parse(&[HEADER, &hash(body), body].concat()), Err(ReadError::Message(_))));
    }
}
