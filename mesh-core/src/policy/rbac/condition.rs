//! The compiled form of permissions and principals.

use std::ops::Range;

use crate::policy::lookup::{Case, ExactTable};
use crate::policy::matcher::{MetadataMatcher, StringMatcher, StringPattern};

use super::{IpRange, Permission, Principal, RbacPolicy, RbacRequest, RequestHeaderMatcher};

/// A condition on a call. Several exact names or paths, of which one suffices, are one table.
#[derive(Debug)]
pub(super) enum Condition {
    /// Always met, or never.
    Constant(bool),
    All(Box<[Self]>),
    AnyOf(Box<[Self]>),
    Not(Box<Self>),
    Path(StringMatcher),
    PathAmong(Keys),
    Name(StringMatcher),
    NameAmong(Keys),
    Tls,
    LocalIp(IpRange),
    LocalPort(Range<u32>),
    RemoteIp(IpRange),
    Header(RequestHeaderMatcher),
    Metadata(MetadataMatcher),
}

/// Texts, one of which a text has to be.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) texts: Box<[Box<str>]>,
    table: ExactTable<()>,
}

impl Condition {
    /// Both the permissions and the principals of a policy.
    pub(super) fn of_policy(policy: &RbacPolicy) -> Self {
        let permission = Self::any_of(policy.permissions.iter().map(Self::of_permission));
        Self::all([permission, Self::any_of(policy.principals.iter().map(Self::of_principal))])
    }

    fn of_permission(permission: &Permission) -> Self {
        match permission {
            Permission::Any => Self::Constant(true),
            Permission::Header(header) => Self::Header(header.clone()),
            Permission::UrlPath(path) => Self::path(path),
            Permission::DestinationIp(range) => Self::LocalIp(*range),
            Permission::DestinationPort(range) => Self::LocalPort(range.clone()),
            Permission::Metadata(matcher) => Self::Metadata(matcher.clone()),
            // HF-21: the server name is the empty text
            Permission::RequestedServerName(name) => Self::Constant(name.matches("")),
            Permission::All(rules) => Self::all(rules.iter().map(Self::of_permission)),
            Permission::AnyOf(rules) => Self::any_of(rules.iter().map(Self::of_permission)),
            Permission::Not(rule) => Self::Not(Box::new(Self::of_permission(rule))),
        }
    }

    fn of_principal(principal: &Principal) -> Self {
        match principal {
            Principal::Any => Self::Constant(true),
            Principal::Authenticated(None) => Self::Tls,
            Principal::Authenticated(Some(name)) => match exact(name) {
                Some(text) => Self::NameAmong(Keys::new([text.into()])),
                None => Self::Name(name.clone()),
            },
            Principal::RemoteIp(range) => Self::RemoteIp(*range),
            Principal::Header(header) => Self::Header(header.clone()),
            Principal::UrlPath(path) => Self::path(path),
            Principal::Metadata(matcher) => Self::Metadata(matcher.clone()),
            Principal::All(ids) => Self::all(ids.iter().map(Self::of_principal)),
            Principal::AnyOf(ids) => Self::any_of(ids.iter().map(Self::of_principal)),
            Principal::Not(id) => Self::Not(Box::new(Self::of_principal(id))),
        }
    }

    fn path(path: &StringMatcher) -> Self {
        match exact(path) {
            Some(text) => Self::PathAmong(Keys::new([text.into()])),
            None => Self::Path(path.clone()),
        }
    }

    fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        let parts = parts.into_iter().filter(|part| !matches!(part, Self::Constant(true)));
        let mut parts: Vec<_> = parts.collect();
        match parts.len() {
            0 => Self::Constant(true),
            1 => parts.remove(0),
            _ if parts.iter().any(|part| matches!(part, Self::Constant(false))) => Self::Constant(false),
            _ => Self::All(parts.into()),
        }
    }

    fn any_of(parts: impl IntoIterator<Item = Self>) -> Self {
        let (mut paths, mut names, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for part in parts {
            match part {
                Self::Constant(true) => return part,
                Self::Constant(false) => {}
                Self::PathAmong(keys) => paths.extend(keys.texts),
                Self::NameAmong(keys) => names.extend(keys.texts),
                other => others.push(other),
            }
        }
        // tables first: they cost the same for one text and for thousands
        let tables = [(paths, Self::PathAmong as fn(_) -> _), (names, Self::NameAmong)];
        let tables = tables.into_iter().filter(|(texts, _)| !texts.is_empty());
        let mut parts: Vec<_> = tables.map(|(texts, table)| table(Keys::new(texts))).collect();
        parts.extend(others);
        match parts.len() {
            0 => Self::Constant(false),
            1 => parts.remove(0),
            _ => Self::AnyOf(parts.into()),
        }
    }

    pub(super) fn is_met(&self, request: &RbacRequest<'_>) -> bool {
        match self {
            Self::Constant(met) => *met,
            Self::All(parts) => parts.iter().all(|part| part.is_met(request)),
            Self::AnyOf(parts) => parts.iter().any(|part| part.is_met(request)),
            Self::Not(part) => !part.is_met(request),
            Self::Path(matcher) => matcher.matches(request.path()),
            Self::PathAmong(keys) => keys.contain(request.path()),
            Self::Name(matcher) => request.names().iter().any(|name| matcher.matches(name)),
            Self::NameAmong(keys) => request.names().iter().any(|name| keys.contain(name)),
            Self::Tls => request.peer.is_tls(),
            Self::LocalIp(range) => range.contains(request.peer.local.ip()),
            Self::LocalPort(range) => range.contains(&u32::from(request.peer.local.port())),
            Self::RemoteIp(range) => range.contains(request.peer.remote.ip()),
            Self::Header(header) => header.matches(request),
            Self::Metadata(matcher) => matcher.matches(request.metadata),
        }
    }
}

impl Keys {
    fn new(texts: impl IntoIterator<Item = Box<str>>) -> Self {
        let texts: Box<[Box<str>]> = texts.into_iter().collect();
        let table = ExactTable::new(Case::Matters, texts.iter().map(|text| (text.clone(), ())));
        Self { texts, table }
    }

    fn contain(&self, text: &str) -> bool {
        match &*self.texts {
            [only] => **only == *text,
            _ => self.table.get(text).is_some(),
        }
    }
}

/// The text that a matcher demands, if it demands one.
fn exact(matcher: &StringMatcher) -> Option<&str> {
    match &matcher.pattern {
        StringPattern::Exact(text) if !matcher.ignore_case => Some(text),
        _ => None,
    }
}
