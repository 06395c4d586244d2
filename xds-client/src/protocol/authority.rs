//! Authorities: the servers of each, and the server that an authority uses now (gRFC A47, A71).
//!
//! ```text
//! servers   [ preferred, second, third, .. ]
//!             └── subscribed ───┘
//!                        └ active: its resources are used; servers before it are retried, servers after it are unused
//! ```

use std::collections::BTreeMap;
use std::time::Instant;

use mesh_core::config::Name;
use percent_encoding::percent_decode_str;

use super::settings::{AuthoritySettings, Fallback, ServerId, Settings, bounded};

/// The index of an authority.
pub(super) type AuthorityId = usize;

/// One authority.
#[derive(Debug)]
pub(super) struct Authority {
    /// Each once.
    servers: Vec<ServerId>,
    fallback: Fallback,
    active: usize,
    /// The active server could not be reached for as long as the fallback says.
    is_overdue: bool,
    /// How many of its names are watched.
    watched: usize,
}

impl Authority {
    /// A server that is listed twice counts once.
    fn new(settings: &AuthoritySettings) -> Self {
        let mut servers = Vec::with_capacity(settings.servers.len());
        for server in &settings.servers {
            if !servers.contains(server) {
                servers.push(*server);
            }
        }
        Self { servers, fallback: settings.fallback, active: 0, is_overdue: false, watched: 0 }
    }

    /// The server whose resources are used; `None` only if there is no server at all.
    pub(super) fn active(&self) -> Option<ServerId> {
        self.servers.get(self.active).copied()
    }

    /// Every server that has subscriptions for the authority's resources.
    pub(super) fn asked(&self) -> impl Iterator<Item = ServerId> {
        self.servers.iter().take(self.active + 1).copied()
    }

    pub(super) fn falls_back_anyway(&self) -> bool {
        self.fallback == Fallback::OnUnreachability || self.is_overdue
    }

    /// When the next server is used, if the active one is lost since `lost_at` and stays so.
    pub(super) fn deadline(&self, lost_at: Instant) -> Option<Instant> {
        match self.fallback {
            Fallback::AfterOutage(time) if self.watched > 0 && self.has_next() && !self.is_overdue => {
                Some(lost_at + bounded(time))
            }
            _ => None,
        }
    }

    pub(super) fn set_overdue(&mut self) {
        self.is_overdue = true;
    }

    pub(super) fn has_next(&self) -> bool {
        self.active + 1 < self.servers.len()
    }

    pub(super) fn on_watched(&mut self) {
        self.watched += 1;
    }

    /// After the last watch has ended the preferred server is active again.
    pub(super) fn on_unwatched(&mut self) {
        self.watched = self.watched.saturating_sub(1);
        if self.watched == 0 {
            self.active = 0;
        }
    }

    /// TR-43: activates the next server, if there is one.
    pub(super) fn advance(&mut self) -> Option<ServerId> {
        let next = self.servers.get(self.active + 1).copied()?;
        self.active += 1;
        self.is_overdue = false;
        Some(next)
    }

    /// TR-44: a preferred server has recovered. Returns the servers that are not needed any more.
    pub(super) fn revert(&mut self, to: ServerId) -> Vec<ServerId> {
        let preferred = self.servers[..self.active].iter().position(|server| *server == to);
        let Some(preferred) = preferred else { return Vec::new() };
        let left = self.servers[preferred + 1..=self.active].to_vec();
        self.active = preferred;
        self.is_overdue = false;
        left
    }
}

/// All authorities: the first is for names without one.
#[derive(Debug)]
pub(super) struct Authorities {
    all: Vec<Authority>,
    by_name: BTreeMap<Name, AuthorityId>,
}

impl Authorities {
    pub(super) fn new(settings: &Settings) -> Self {
        let named = settings.authorities.values();
        let all = [&settings.default_authority].into_iter().chain(named).map(Authority::new).collect();
        let by_name = settings.authorities.keys().cloned().zip(1..).collect();
        Self { all, by_name }
    }

    /// The authority of a name; if it is unknown, its name (TR-39).
    pub(super) fn of<'n>(&self, name: &'n str) -> Result<AuthorityId, &'n str> {
        match super::authority(name) {
            None => Ok(DEFAULT),
            // The bootstrap has the plain form, a resource name the percent-encoded form.
            Some(authority) => match self.by_name.get(&*percent_decode_str(authority).decode_utf8_lossy()) {
                Some(id) => Ok(*id),
                // A collection belongs to the server that sent the resource which refers to it.
                None if authority.is_empty() && super::name::is_collection(name) => Ok(DEFAULT),
                None => Err(authority),
            },
        }
    }

    /// Whether the server has subscriptions, while the resources of another one are used.
    pub(super) fn retries(&self, server: ServerId) -> bool {
        let mut all = self.all.iter();
        all.any(|authority| authority.servers[..authority.active].contains(&server))
    }

    /// Whether the server's resources are used for an authority.
    pub(super) fn counts(&self, authority: Option<AuthorityId>, server: ServerId) -> bool {
        authority.is_some_and(|id| self.get(id).active() == Some(server))
    }

    pub(super) fn get(&self, id: AuthorityId) -> &Authority {
        &self.all[id]
    }

    pub(super) fn get_mut(&mut self, id: AuthorityId) -> &mut Authority {
        &mut self.all[id]
    }

    pub(super) fn ids(&self) -> std::ops::Range<AuthorityId> {
        0..self.all.len()
    }
}

const DEFAULT: AuthorityId = 0;
