//! How much calls keep of their requests: each one, and all of a channel together.

#[cfg(test)]
use crate::sharded::Refs;
use crate::sharded::{Permits, Ref};

/// How many bytes of its request a call keeps for another attempt: 256 KiB by default, as in gRPC. A call that sends more is
/// committed: its present attempt is its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayLimit(pub usize);

impl Default for ReplayLimit {
    fn default() -> Self {
        Self(256 << 10)
    }
}

/// How many bytes all calls of a channel keep of their requests at the same time, for other attempts: 1 MiB by default. A
/// call that would exceed it is committed: its present attempt is its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayMemory(pub usize);

impl Default for ReplayMemory {
    fn default() -> Self {
        Self(1 << 20)
    }
}

/// What the calls of a channel keep at the moment.
#[derive(Debug)]
pub(crate) struct ChannelReplay {
    per_call: usize,
    limit: usize,
    /// A permit for each byte.
    bytes: Permits,
}

/// Room for what one call keeps of its request, which a connection takes from while it sends. All of it is given back when
/// it is dropped.
#[derive(Debug, Default)]
pub struct ReplayRoom {
    /// `None`: nothing is kept.
    channel: Option<Ref<ChannelReplay>>,
    taken: usize,
}

impl ChannelReplay {
    pub(crate) fn new(per_call: ReplayLimit, limit: ReplayMemory) -> Self {
        Self { per_call: per_call.0, limit: limit.0, bytes: Permits::new(BATCH) }
    }

    fn take(&self, bytes: usize) -> bool {
        self.bytes.take(bytes, self.limit)
    }

    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        self.bytes.in_use()
    }
}

impl ReplayRoom {
    /// Room for a call of this channel.
    pub(crate) fn in_channel(channel: Ref<ChannelReplay>) -> Self {
        Self { channel: Some(channel), taken: 0 }
    }

    /// Of the only call of its channel.
    #[cfg(test)]
    pub(crate) fn of(limit: ReplayLimit) -> Self {
        Self::in_channel(Refs::new(ChannelReplay::new(limit, ReplayMemory::default())).own())
    }

    /// Whether anything of the request may be kept; if not, the caller keeps it.
    pub fn keeps(&self) -> bool {
        self.channel.is_some()
    }

    /// Takes room for so many bytes more. `false`: the call may not keep them.
    pub fn take(&mut self, bytes: usize) -> bool {
        let Some(channel) = &self.channel else { return false };
        let fits = self.taken.checked_add(bytes).is_some_and(|taken| taken <= channel.per_call);
        let has_room = fits && channel.take(bytes);
        if has_room {
            self.taken += bytes;
        }
        has_room
    }

    /// Gives back so many of the bytes that were taken.
    pub fn give_back(&mut self, bytes: usize) {
        let bytes = bytes.min(self.taken);
        if let Some(channel) = &self.channel
            && bytes > 0
        {
            channel.bytes.give_back(bytes);
        }
        self.taken -= bytes;
    }
}

impl Drop for ReplayRoom {
    fn drop(&mut self) {
        self.give_back(self.taken);
    }
}

/// How many bytes a shard may take before its threads write the channel's count again.
const BATCH: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves: RT-43.
    #[test]
    fn room_is_bounded_per_call_and_per_channel_and_given_back() {
        let channel = Refs::new(ChannelReplay::new(ReplayLimit(6), ReplayMemory(10)));
        let room = || ReplayRoom::in_channel(channel.own());
        let (mut first, mut second) = (room(), room());
        assert!(first.take(4) && first.take(2));
        assert!(!first.take(1), "as much as one call may keep");
        assert!(!second.take(5), "as much as the channel may keep");
        assert!(second.take(4));
        assert_eq!(channel.kept(), 10);
        first.give_back(5);
        assert!(second.take(2));
        first.give_back(99);
        assert_eq!(channel.kept(), 6, "no more than was taken");
        drop((first, second));
        assert_eq!(channel.kept(), 0);
        assert!(!room().take(usize::MAX));
        assert!(!ReplayRoom::default().take(0), "nothing is kept");
    }
}
