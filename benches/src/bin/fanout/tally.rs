//! What the clients tell the measuring side.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::mpsc;

/// Something that a client has done.
#[derive(Debug)]
pub(crate) enum Note {
    /// Its connection stands.
    Connected { at: Instant },
    /// It has accepted a first response of every type since it connected.
    Settled { at: Instant },
    /// It has accepted endpoints, by cluster or each on its own.
    Accepted { client: u32, names: Vec<String>, at: Instant },
}

/// Where clients note what they do. Clones belong together.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    notes: mpsc::UnboundedSender<Note>,
    bytes: Arc<AtomicU64>,
    nacks: Arc<AtomicU64>,
    /// Whether clients take their time for an ACK.
    slow: Arc<AtomicBool>,
    overlaps: Arc<AtomicU64>,
}

impl Tally {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Note>) {
        let (notes, receiver) = mpsc::unbounded_channel();
        (
            Self {
                notes,
                bytes: Arc::default(),
                nacks: Arc::default(),
                slow: Arc::default(),
                overlaps: Arc::default(),
            },
            receiver,
        )
    }

    pub(crate) fn note(&self, note: Note) {
        // The receiver may be gone at the very end.
        let _ = self.notes.send(note);
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes of all messages so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// From now on clients take their time for an ACK.
    pub(crate) fn slow_down(&self) {
        self.slow.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_slow(&self) -> bool {
        self.slow.load(Ordering::Relaxed)
    }

    /// A response came before the one before it, of the same type, had its ACK.
    pub(crate) fn overlap(&self) {
        self.overlaps.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn overlaps(&self) -> u64 {
        self.overlaps.load(Ordering::Relaxed)
    }

    /// A message that could not be read.
    pub(crate) fn unreadable(&self) {
        self.nacks.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn unreadable_so_far(&self) -> u64 {
        self.nacks.load(Ordering::Relaxed)
    }
}
