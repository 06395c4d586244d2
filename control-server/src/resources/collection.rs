//! Endpoint collections (LEDS, gRFC A95).

use std::hash::Hasher as _;
use std::sync::Arc;

use twox_hash::XxHash64;

use super::EncodedResource;

/// The endpoints of a locality as resources of their own, together under one glob name.
///
/// A member's name is the glob with a last segment in the place of `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collection {
    /// `xdstp:///TYPE/../*`
    pub name: Arc<str>,
    /// The hash of its members' names and versions, in hexadecimal.
    pub version: Arc<str>,
    members: Vec<Arc<EncodedResource>>,
}

impl Collection {
    /// A collection of these members.
    pub fn new(name: Arc<str>, mut members: Vec<Arc<EncodedResource>>) -> Self {
        members.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        let mut hash = XxHash64::with_seed(0);
        for part in members.iter().flat_map(|member| [&member.name, &member.version]) {
            hash.write(part.as_bytes());
            hash.write_u8(0xff);
        }
        let version = format!("{:016x}", hash.finish()).into();
        Self { name, version, members }
    }

    /// All of them, by name.
    pub fn members(&self) -> &[Arc<EncodedResource>] {
        &self.members
    }

    /// The member of this name.
    pub fn member(&self, name: &str) -> Option<&Arc<EncodedResource>> {
        let place = self.members.binary_search_by(|member| (*member.name).cmp(name)).ok()?;
        self.members.get(place)
    }
}

/// The glob name that a member's name belongs to; `None` if it is no such name.
pub(crate) fn glob_of(member: &str) -> Option<String> {
    let (path, last) = member.rsplit_once('/')?;
    (!last.is_empty() && last != "*").then(|| format!("{path}/*"))
}
