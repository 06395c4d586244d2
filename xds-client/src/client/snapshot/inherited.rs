//! What an earlier run has left and no server of this run has said anything of: it is not lost with the first write.

use super::file::Entry;
use crate::protocol::{AdsState, Leftover};

/// Entries of the file that are to be written again.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    entries: Vec<Entry>,
}

impl Inherited {
    pub(super) fn add(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// What is still worth keeping at `now`, in seconds since 1970. What is waited for, or in use while its server is
    /// away, keeps its place; what nobody has asked for loses it after a while.
    pub(super) fn sweep(&mut self, now: u64, leftover: impl Fn(&Entry) -> Leftover) -> &[Entry] {
        self.entries.retain_mut(|entry| match leftover(entry) {
            Leftover::Settled => false,
            Leftover::Awaited => {
                entry.used = now;
                true
            }
            // A clock that was wrong is no reason to lose anything at once.
            Leftover::Unwatched => {
                entry.used = if entry.used == 0 { now } else { entry.used.min(now) };
                now - entry.used <= LONGEST
            }
        });
        &self.entries
    }
}

pub(super) fn leftover(ads: &AdsState, entry: &Entry) -> Leftover {
    ads.leftover(&entry.type_url, &entry.name)
}

/// 30 days, in seconds.
const LONGEST: u64 = 30 * 24 * 60 * 60;

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn entry(name: &str, used: u64) -> Entry {
        let (server, type_url) = ("a:1".to_owned(), "type.googleapis.com/x".to_owned());
        Entry { server, type_url, name: name.into(), version: "1".into(), bytes: Bytes::new(), used }
    }

    #[test]
    fn what_nobody_has_used_for_a_month_goes() {
        let now = 100 * LONGEST;
        let mut inherited = Inherited::default();
        let ages =
            [("old", now - LONGEST - 1), ("recent", now - LONGEST), ("unknown", 0), ("later", now + 9)];
        ages.iter().for_each(|(name, used)| inherited.add(entry(name, *used)));
        inherited.add(entry("awaited", 1));
        inherited.add(entry("settled", now));
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
        ];
        assert_eq!(inherited.sweep(now, fate), kept);
    }
}
