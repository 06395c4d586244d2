//! What objects mean where they do not say it.

/// Settings for all services.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// The namespace whose rules hold for services and clients without rules of their own; `istio-system` by default.
    pub root_namespace: String,
    /// Whether calls fail whose routes or rules are in an object that is refused and has no good version.
    pub on_invalid: OnInvalid,
    /// The trust domain of the identities in the mesh; `cluster.local` by default. A policy that says `cluster.local` means it.
    pub trust_domain: String,
    /// Retries of a call whose route does not say how many; 2 by default, as Istio has it. 0 turns them off.
    pub default_retries: u32,
}

/// Calls to a host whose routes or rules cannot be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnInvalid {
    /// They fail, because they may be meant to be pinned or restricted.
    #[default]
    Fail,
    /// They go where they would go if the object were not there.
    DefaultRoute,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            root_namespace: "istio-system".to_owned(),
            on_invalid: OnInvalid::default(),
            trust_domain: DEFAULT_TRUST_DOMAIN.to_owned(),
            default_retries: 2,
        }
    }
}

/// Istio's name for the mesh's own trust domain, whichever it is.
pub(crate) const DEFAULT_TRUST_DOMAIN: &str = "cluster.local";
