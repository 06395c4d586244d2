//! The revocation lists that are known.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::RevocationList;

/// What happens to a peer whose issuer has no current list: it is not known whether the peer's certificate has been revoked.
// TLS-24
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum UnknownRevocation {
    /// It is refused.
    #[default]
    Refuse,
    /// It is accepted.
    Accept,
}

/// The revocation lists of all issuers that are known, for [`Roots::with_revocation`](crate::certificate::Roots::with_revocation). They are
/// asked for each certificate of a chain but the root.
#[derive(Clone, Default)]
pub struct RevocationLists {
    by_issuer: HashMap<Vec<u8>, Vec<Arc<RevocationList>>>,
    unknown: UnknownRevocation,
}

impl RevocationLists {
    /// These lists, and no others.
    pub fn new(lists: impl IntoIterator<Item = RevocationList>, unknown: UnknownRevocation) -> Self {
        let mut all = Self { by_issuer: HashMap::new(), unknown };
        for list in lists {
            all.by_issuer.entry(list.issuer.clone()).or_default().push(Arc::new(list));
        }
        all
    }

    /// With these lists in place of older ones of the same issuers and scopes. The others stay: after a read in which a file was
    /// not readable, its issuer is not known.
    // TLS-25
    #[must_use]
    pub fn with_newer(mut self, lists: impl IntoIterator<Item = RevocationList>) -> Self {
        let Self { by_issuer: newer, unknown } = Self::new(lists, self.unknown);
        for (issuer, lists) in newer {
            let known = self.by_issuer.entry(issuer).or_default();
            known.retain(|old| lists.iter().all(|list| list.scope != old.scope));
            known.extend(lists);
        }
        Self { unknown, ..self }
    }

    /// The lists of an issuer.
    pub(super) fn of(&self, issuer: &[u8]) -> &[Arc<RevocationList>] {
        self.by_issuer.get(issuer).map_or(&[], Vec::as_slice)
    }

    /// What happens to a peer whose issuer has no current list.
    pub(crate) fn unknown(&self) -> UnknownRevocation {
        self.unknown
    }
}

impl fmt::Debug for RevocationLists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = self.by_issuer.values().flatten();
        f.debug_list().entries(lists).finish()
    }
}
