//! Entries of an earlier run that no server of this run has replaced or deleted: they are written again.

use std::collections::HashMap;
use std::sync::Arc;

use xds_proto::google::protobuf::Any;

use super::file::Entry;
use crate::protocol::{AdsState, Leftover, Received, canonical};
use crate::resource::{DecodeContext, DecodeError, Decoded, ResourceType, decode_named};

/// Entries of the file that have to be written again.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    entries: Vec<Entry>,
    /// Entries of types that are not known yet: users' types become known with their watches.
    unread: Vec<Entry>,
    /// By server.
    contexts: HashMap<String, Arc<DecodeContext>>,
}

impl Inherited {
    /// The entries of servers that are still configured.
    pub(super) fn new(mut unread: Vec<Entry>, contexts: HashMap<String, Arc<DecodeContext>>) -> Self {
        unread.retain(|entry| contexts.contains_key(&entry.server));
        Self { entries: Vec::new(), unread, contexts }
    }

    /// The entries of this type that have not been decoded before. Entries that are refused are dropped.
    pub(super) fn decode(
        &mut self,
        known: &dyn ResourceType,
        refused: impl Fn(DecodeError),
    ) -> Vec<(String, Received)> {
        let mut resources = Vec::new();
        for entry in self.unread.extract_if(.., |entry| entry.type_url == known.type_url()) {
            let Some(context) = self.contexts.get(&entry.server) else { continue };
            match decode(known, context, &entry) {
                Ok(received) => {
                    let (name, bytes) = (received.name.clone(), received.bytes.clone());
                    self.entries.push(Entry { name, bytes, ..entry });
                    resources.push((known.type_url().to_owned(), received));
                }
                Err(error) => refused(error),
            }
        }
        resources
    }

    /// The entries that are kept at `now`, in seconds since 1970. An entry that is waited for, or in use while its server is
    /// unreachable, is kept; an entry that was not watched for a month is dropped.
    pub(super) fn sweep(
        &mut self,
        now: u64,
        leftover: impl Fn(&Entry) -> Leftover,
    ) -> impl Iterator<Item = &Entry> {
        let keep = |entry: &mut Entry, leftover| match leftover {
            Leftover::Settled => false,
            Leftover::Awaited => {
                entry.used = now;
                true
            }
            // A wrong clock must not drop entries at once.
            Leftover::Unwatched => {
                entry.used = if entry.used == 0 { now } else { entry.used.min(now) };
                now - entry.used <= LONGEST
            }
        };
        self.entries.retain_mut(|entry| keep(entry, leftover(entry)));
        self.unread.retain_mut(|entry| keep(entry, Leftover::Unwatched));
        self.entries.iter().chain(&self.unread)
    }
}

pub(super) fn leftover(ads: &AdsState, entry: &Entry) -> Leftover {
    ads.leftover(&entry.type_url, &entry.name)
}

fn decode(known: &dyn ResourceType, context: &DecodeContext, entry: &Entry) -> Result<Received, DecodeError> {
    let any = Any { type_url: entry.type_url.clone(), value: entry.bytes.to_vec() };
    // It was requested by the name of its entry, which may be an alias of the name in the message (TR-55).
    let own = known.peek_name(&entry.bytes).unwrap_or_else(|| entry.name.clone());
    let Decoded { value, bytes, .. } = decode_named(known, context, &own, any)?;
    Ok(Received {
        name: canonical(&entry.name),
        aliases: Vec::new(),
        version: Some(entry.version.clone()),
        ttl: None,
        resource: value,
        bytes,
    })
}

/// 30 days, in seconds.
const LONGEST: u64 = 30 * 24 * 60 * 60;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use mesh_core::config::Name;
    use prost::Message;
    use xds_proto::envoy::config::endpoint::v3::ClusterLoadAssignment;

    use super::*;
    use crate::resource::EndpointsType;

    fn entry(name: &str, used: u64) -> Entry {
        let (server, type_url) = ("a:1".to_owned(), "type.googleapis.com/x".to_owned());
        Entry { server, type_url, name: name.into(), version: "1".into(), bytes: Bytes::new(), used }
    }

    #[test]
    fn resource_unused_for_a_month_is_removed() {
        let now = 100 * LONGEST;
        let mut inherited = Inherited::default();
        let ages =
            [("old", now - LONGEST - 1), ("recent", now - LONGEST), ("unknown", 0), ("later", now + 9)];
        ages.iter().for_each(|(name, used)| inherited.entries.push(entry(name, *used)));
        inherited.entries.push(entry("awaited", 1));
        inherited.entries.push(entry("settled", now));
        inherited.unread.push(entry("of no known type", now));
        let fate = |entry: &Entry| match &*entry.name {
            "awaited" => Leftover::Awaited,
            "settled" => Leftover::Settled,
            _ => Leftover::Unwatched,
        };
        let kept = [
            entry("recent", now - LONGEST),
            entry("unknown", now),
            entry("later", now),
            entry("awaited", now),
            entry("of no known type", now),
        ];
        let swept: Vec<Entry> = inherited.sweep(now, fate).cloned().collect();
        assert_eq!(swept, kept);
    }

    /// Proves: TR-37, TR-55.
    #[test]
    fn resource_requested_by_alias_is_found_by_alias() {
        let rows =
            [("own", "own"), ("an-alias", "own"), ("xdstp://x/type/id?a=1&b=2", "xdstp://x/type/id?b=2&a=1")];
        let message = |cluster_name: &str| ClusterLoadAssignment {
            cluster_name: cluster_name.to_owned(),
            ..ClusterLoadAssignment::default()
        };
        let entries = rows.map(|(name, own)| Entry {
            type_url: EndpointsType.type_url().to_owned(),
            bytes: message(own).encode_to_vec().into(),
            ..entry(name, 0)
        });
        let contexts = [("a:1".to_owned(), Arc::default())].into();
        let mut inherited = Inherited::new(entries.into(), contexts);
        let refused = |error| panic!("refused: {error}");
        let found: Vec<_> =
            inherited.decode(&EndpointsType, refused).into_iter().map(|(_, one)| one.name).collect();
        assert_eq!(found, rows.map(|(name, _)| Name::from(name)));
        assert_eq!(inherited.decode(&EndpointsType, refused).len(), 0, "once");
    }
}
