//! Endpoint collections: many resources under one glob name.

use std::hash::Hasher as _;
use std::sync::{Arc, OnceLock};

use twox_hash::XxHash64;

use super::EncodedResource;
use super::members::{self, Assignment};

/// The members of a collection, each a resource. Made when someone asks for them: most clients get endpoints inline.
#[derive(Debug)]
pub struct Collection {
    /// Its glob name.
    pub name: Arc<str>,
    source: Option<Assignment>,
    content: OnceLock<Content>,
}

#[derive(Debug)]
struct Content {
    /// The hash of its members' names and versions, in hexadecimal.
    version: Arc<str>,
    members: Vec<Arc<EncodedResource>>,
}

impl Collection {
    /// A collection of these members.
    pub fn new(name: Arc<str>, members: Vec<Arc<EncodedResource>>) -> Self {
        Self { name, source: None, content: Content::new(members).into() }
    }

    /// The endpoints of one locality of an assignment.
    pub(crate) fn of_locality(name: Arc<str>, source: Assignment) -> Self {
        Self { name, source: Some(source), content: OnceLock::new() }
    }

    /// The hash of its members' names and versions, in hexadecimal.
    pub fn version(&self) -> &Arc<str> {
        &self.content().version
    }

    /// All of them, by name.
    pub fn members(&self) -> &[Arc<EncodedResource>] {
        &self.content().members
    }

    /// The member of this name.
    pub fn member(&self, name: &str) -> Option<&Arc<EncodedResource>> {
        let members = self.members();
        let place = members.binary_search_by(|member| (*member.name).cmp(name)).ok()?;
        members.get(place)
    }

    /// How many members have been made so far.
    pub(crate) fn made(&self) -> usize {
        self.content.get().map_or(0, |content| content.members.len())
    }

    fn content(&self) -> &Content {
        let make = |source: &Assignment| members::of_locality(&self.name, source);
        self.content.get_or_init(|| Content::new(self.source.as_ref().map(make).unwrap_or_default()))
    }
}

impl Content {
    fn new(mut members: Vec<Arc<EncodedResource>>) -> Self {
        members.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        let mut hash = XxHash64::with_seed(0);
        for part in members.iter().flat_map(|member| [&member.name, &member.version]) {
            hash.write(part.as_bytes());
            hash.write_u8(0xff);
        }
        Self { version: format!("{:016x}", hash.finish()).into(), members }
    }
}

impl PartialEq for Collection {
    /// Without making the members: two collections of the same assignment are the same.
    fn eq(&self, other: &Self) -> bool {
        match (&self.source, &other.source) {
            (Some(one), Some(other_source)) => self.name == other.name && one == other_source,
            _ => self.name == other.name && self.version() == other.version(),
        }
    }
}

impl Eq for Collection {}

/// The glob name that a member's name belongs to; `None` if it is no such name.
pub(crate) fn glob_of(member: &str) -> Option<String> {
    let (path, last) = member.rsplit_once('/')?;
    (!last.is_empty() && last != "*").then(|| format!("{path}/*"))
}
