//! Which providers must believe the tokens of a request.

use std::sync::Arc;
use std::time::Duration;

use http::request;

use super::algorithm::Signatures;
use super::{Audiences, FoundToken, JwtError, JwtProvider, KeySet, Token, claims};

/// Which providers, by their names, must believe the tokens of a request.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum JwtRequirement {
    /// This one; with audiences, for these instead of its own.
    Provider(String, Option<Audiences>),
    /// At least one of these.
    AnyOf(Vec<Self>),
    /// All of these.
    AllOf(Vec<Self>),
    /// A request without any token passes; one with a token must have it believed, by a provider that stands beside this in
    /// [`AnyOf`](Self::AnyOf), else by any.
    // J1
    AllowMissing,
    /// Every request passes; tokens that are believed are used.
    AllowMissingOrFailed,
}

/// A provider that is named and not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no provider {0:?}")]
pub(crate) struct UnknownProvider(pub(crate) String);

/// A requirement with the positions of its providers.
#[derive(Debug)]
pub(crate) struct RequirementPlan {
    root: Node,
    /// All providers whose tokens are looked for.
    providers: Vec<usize>,
}

#[derive(Debug)]
enum Node {
    Provider(usize, Option<Audiences>),
    AnyOf(Vec<Self>),
    AllOf(Vec<Self>),
    AllowMissing(Vec<usize>),
    AllowMissingOrFailed(Vec<usize>),
}

/// What a check needs beside the request.
pub(crate) struct CheckContext<'a> {
    /// The time of the Unix epoch.
    pub(crate) now: Duration,
    pub(crate) providers: &'a [JwtProvider],
    /// The keys of a provider, as they are now.
    pub(crate) keys: &'a dyn Fn(usize) -> Option<Arc<KeySet>>,
    pub(crate) known: &'a Signatures,
}

/// A request that passes, with the tokens that are believed: the position of the provider, and where the token is.
#[derive(Debug, Default)]
pub(crate) struct Accepted(pub(crate) Vec<(usize, FoundToken)>);

/// A request that does not pass.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) error: JwtError,
    /// Providers whose keys, if there were other ones, could change the verdict.
    pub(crate) lacking_keys: Vec<usize>,
}

impl RequirementPlan {
    pub(crate) fn new(
        requirement: &JwtRequirement,
        position: impl Fn(&str) -> Option<usize>,
        count: usize,
    ) -> Result<Self, UnknownProvider> {
        let all: Vec<usize> = (0..count).collect();
        let root = Node::new(requirement, &position, &all)?;
        let mut providers = Vec::new();
        root.collect(&mut providers);
        providers.sort_unstable();
        providers.dedup();
        Ok(Self { root, providers })
    }

    /// Whether a request passes.
    // J1, J2
    pub(crate) fn check(
        &self,
        head: &request::Parts,
        context: &CheckContext<'_>,
    ) -> Result<Accepted, Refused> {
        let found = Found::new(head, &self.providers, context);
        let mut lacking_keys = Vec::new();
        let checked = self.root.check(&found, context, &mut lacking_keys);
        let accepted = match checked {
            Ok(accepted) => accepted,
            Err(error) => return Err(Refused { error, lacking_keys }),
        };
        // J2: what the application gets is what was checked, and it is told of one token
        let is_lenient = self.root.is_lenient();
        let has_unchecked = found.tokens.iter().any(|token| !accepted.iter().any(|(_, one)| one == token));
        match has_unchecked && !is_lenient {
            true => Err(Refused { error: JwtError::Several, lacking_keys: Vec::new() }),
            false => Ok(Accepted(accepted)),
        }
    }
}

/// The tokens of a request, each once.
struct Found {
    tokens: Vec<FoundToken>,
    /// Whether a header has something else beside a token.
    is_mixed: bool,
}

impl Found {
    fn new(head: &request::Parts, providers: &[usize], context: &CheckContext<'_>) -> Self {
        let mut locations = Vec::new();
        for location in providers.iter().flat_map(|provider| &context.providers[*provider].locations) {
            if !locations.contains(&location) {
                locations.push(location);
            }
        }
        let mut all = Self { tokens: Vec::new(), is_mixed: false };
        for location in locations {
            let (tokens, others) = location.find(head);
            all.is_mixed |= !tokens.is_empty() && others > 0;
            all.tokens.extend(tokens);
        }
        all
    }
}

type Believed = Vec<(usize, FoundToken)>;

impl Node {
    fn new(
        requirement: &JwtRequirement,
        position: &impl Fn(&str) -> Option<usize>,
        beside: &[usize],
    ) -> Result<Self, UnknownProvider> {
        Ok(match requirement {
            JwtRequirement::Provider(name, audiences) => {
                let position = position(name).ok_or_else(|| UnknownProvider(name.clone()))?;
                Self::Provider(position, audiences.clone())
            }
            JwtRequirement::AnyOf(parts) => {
                let mut named = Vec::new();
                for part in parts {
                    if !part.is_allowance() {
                        Self::new(part, position, beside)?.collect(&mut named);
                    }
                }
                let beside = if named.is_empty() { beside } else { &named };
                let parts = parts.iter().map(|part| Self::new(part, position, beside));
                Self::AnyOf(parts.collect::<Result<_, _>>()?)
            }
            JwtRequirement::AllOf(parts) => {
                let parts = parts.iter().map(|part| Self::new(part, position, beside));
                Self::AllOf(parts.collect::<Result<_, _>>()?)
            }
            JwtRequirement::AllowMissing => Self::AllowMissing(beside.to_vec()),
            JwtRequirement::AllowMissingOrFailed => Self::AllowMissingOrFailed(beside.to_vec()),
        })
    }

    fn collect(&self, providers: &mut Vec<usize>) {
        match self {
            Self::Provider(provider, _) => providers.push(*provider),
            Self::AnyOf(parts) | Self::AllOf(parts) => parts.iter().for_each(|part| part.collect(providers)),
            Self::AllowMissing(beside) | Self::AllowMissingOrFailed(beside) => providers.extend(beside),
        }
    }

    /// Whether tokens that are not believed do not matter.
    fn is_lenient(&self) -> bool {
        match self {
            Self::AllowMissingOrFailed(_) => true,
            Self::AnyOf(parts) => parts.iter().any(Self::is_lenient),
            Self::AllOf(parts) => parts.iter().all(Self::is_lenient),
            Self::Provider(..) | Self::AllowMissing(_) => false,
        }
    }

    fn check(
        &self,
        found: &Found,
        context: &CheckContext<'_>,
        lacking: &mut Vec<usize>,
    ) -> Result<Believed, JwtError> {
        match self {
            Self::Provider(provider, audiences) => {
                one(found, *provider, audiences.as_ref(), context, lacking)
            }
            Self::AnyOf(parts) => first(parts.iter().map(|part| part.check(found, context, lacking))),
            Self::AllOf(parts) => {
                let mut all = Vec::new();
                for part in parts {
                    all.extend(part.check(found, context, lacking)?);
                }
                Ok(all)
            }
            Self::AllowMissing(_) if found.tokens.is_empty() => Ok(Vec::new()),
            Self::AllowMissing(beside) => {
                first(beside.iter().map(|provider| one(found, *provider, None, context, lacking)))
            }
            Self::AllowMissingOrFailed(beside) => {
                let tried = beside.iter().map(|provider| one(found, *provider, None, context, lacking));
                Ok(first(tried).unwrap_or_default())
            }
        }
    }
}

/// The first that is believed, else the refusal that came furthest.
fn first(tried: impl Iterator<Item = Result<Believed, JwtError>>) -> Result<Believed, JwtError> {
    let mut furthest = JwtError::Missing;
    for one in tried {
        match one {
            Ok(believed) => return Ok(believed),
            Err(error) => furthest = furthest.max(error),
        }
    }
    Err(furthest)
}

/// The one token at a provider's locations, if the provider believes it.
fn one(
    found: &Found,
    provider: usize,
    audiences: Option<&Audiences>,
    context: &CheckContext<'_>,
    lacking: &mut Vec<usize>,
) -> Result<Believed, JwtError> {
    let config = &context.providers[provider];
    let mut own = found.tokens.iter().filter(|token| config.locations.contains(&token.location));
    let token = own.next().ok_or(JwtError::Missing)?;
    if own.next().is_some() || found.is_mixed {
        return Err(JwtError::Several);
    }
    let parsed = Token::parse(&token.text)?;
    let keys = (context.keys)(provider);
    let audiences = audiences.or(config.audiences.as_ref());
    let checked = claims::check(context.now, &parsed, config, audiences, (keys.as_deref(), context.known));
    checked.inspect_err(|error| {
        if error.is_about_keys() && !lacking.contains(&provider) {
            lacking.push(provider);
        }
    })?;
    Ok(vec![(provider, token.clone())])
}

impl JwtRequirement {
    fn is_allowance(&self) -> bool {
        matches!(self, Self::AllowMissing | Self::AllowMissingOrFailed)
    }
}
