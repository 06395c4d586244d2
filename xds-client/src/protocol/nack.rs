//! The text of a NACK (TR-14).

use super::{Received, Rejected, ResourceKind};

/// The errors of a response so far.
#[derive(Debug, Default)]
pub(super) struct Errors {
    texts: Vec<String>,
    more: usize,
    /// A bad resource has no readable name.
    pub(super) nameless: bool,
}

impl Errors {
    pub(super) fn add(&mut self, kind: ResourceKind, resource: &Result<Received, Rejected>) {
        let Err(Rejected { name, reason }) = resource else { return };
        self.nameless |= name.is_none();
        let text = format!("{} {}: {reason}", kind.short_name(), name.as_deref().unwrap_or("(no name)"));
        match self.texts.len() < MAX_ERRORS {
            _ if self.texts.contains(&text) => {}
            true => self.texts.push(text),
            false => self.more += 1,
        }
    }

    /// `None`: no errors.
    pub(super) fn into_text(mut self) -> Option<String> {
        if self.more > 0 {
            self.texts.push(format!("and {} more", self.more));
        }
        (!self.texts.is_empty()).then(|| self.texts.join("; "))
    }
}

/// How many resources a NACK names.
const MAX_ERRORS: usize = 64;
