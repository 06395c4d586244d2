//! The parts of an error's text, as values: the text is made when it is read.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::{MaxRequests, Name, ResourceError};
use crate::policy::route::NoMatch;
use crate::runtime::{MaxQueued, SourceError, Target};

/// The target and the xDS node, as error texts name them; shared by all errors of a target's calls.
#[derive(Debug)]
pub(crate) struct TargetLabel {
    pub(super) target: String,
    /// Empty if there is none.
    pub(super) node: Name,
}

impl TargetLabel {
    pub(crate) fn new(target: &Target, node: Name) -> Self {
        Self { target: target.to_string(), node }
    }
}

/// The reason of a failure, without target, cluster and endpoint.
#[derive(Debug)]
pub(crate) enum Reason {
    Text(Cow<'static, str>),
    /// A text that others keep, too.
    Shared(Arc<str>),
    /// A configuration source's error.
    Source(SourceError),
    /// The cluster has this many calls in flight.
    MaxRequests(MaxRequests),
    /// This many calls wait for a connection or for room on one.
    MaxPending(u32),
    /// This many calls wait for room on the connections to the endpoint.
    MaxQueued(MaxQueued, SocketAddr),
    /// The drop policy's category.
    Dropped(Name),
    /// No route takes a request with this authority and path.
    NoRoute(NoMatch, Box<str>),
    /// The route for this path has an action that is not for clients.
    Unsupported(&'static str, Box<str>),
}

impl Reason {
    /// Whether it is a text of others that contains `part`.
    pub(super) fn contains(&self, part: &str) -> bool {
        match self {
            Self::Text(text) => text.contains(part),
            Self::Shared(text) => text.contains(part),
            Self::Source(error) => error.message().contains(part),
            Self::MaxRequests(_)
            | Self::MaxPending(_)
            | Self::MaxQueued(..)
            | Self::Dropped(_)
            | Self::NoRoute(..)
            | Self::Unsupported(..) => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Shared(text) => f.write_str(text),
            Self::Source(error) => write!(f, "{error}"),
            Self::MaxRequests(MaxRequests(limit)) => {
                write!(f, "{limit} calls are in flight, the most allowed")
            }
            Self::MaxPending(limit) => {
                write!(f, "{limit} calls wait for a connection already, the most allowed")
            }
            Self::MaxQueued(MaxQueued(limit), endpoint) => {
                write!(
                    f,
                    "{limit} calls wait for room on the connection to {endpoint} already, the most allowed"
                )
            }
            Self::Dropped(category) => write!(f, "the control plane wants this call dropped ({category})"),
            Self::NoRoute(no_match, request) => write!(f, "{no_match}: {request}"),
            Self::Unsupported(action, path) => {
                write!(f, "the route for {path} is not one for clients: {action}")
            }
        }
    }
}

impl From<&'static str> for Reason {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Reason {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<Arc<str>> for Reason {
    fn from(text: Arc<str>) -> Self {
        Self::Shared(text)
    }
}

impl From<SourceError> for Reason {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl From<&ResourceError> for Reason {
    fn from(error: &ResourceError) -> Self {
        Self::Shared(error.text().clone())
    }
}
