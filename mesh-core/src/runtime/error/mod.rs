//! Why a call failed without the service's own answer.

mod reason;

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::Name;

use super::SourceError;
use super::attempt::Attempt;

pub(crate) use reason::{Reason, TargetLabel};

/// Why a call failed without the service's own answer.
///
/// Its text names the target, the cluster, the last endpoint error, problems with the control plane and the xDS node, as
/// far as they are known. [`source`](Error::source) has the cause where there is one.
///
/// Making one costs at most two allocations, because calls are refused most often under overload: the text is made when it
/// is displayed.
// OB-23
pub struct MeshError(Box<ErrorParts>);

#[derive(Debug)]
struct ErrorParts {
    kind: MeshErrorKind,
    label: Option<Arc<TargetLabel>>,
    cluster: Option<Name>,
    endpoint: Option<SocketAddr>,
    reason: Reason,
    /// A problem with the control plane at the time of the failure.
    ambient: Option<Arc<SourceError>>,
    h2_code: Option<u32>,
    /// An earlier attempt of the call may have reached an endpoint.
    may_have_been_seen: bool,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kind of a [`MeshError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MeshErrorKind {
    /// The target has no configuration that can be used.
    Configuration,
    /// The control plane says that the mesh has no such target.
    NotInMesh,
    /// No virtual host or no route takes the request.
    NoRoute,
    /// This client does not support the route's action.
    UnsupportedRoute,
    /// The route's cluster cannot be used: the control plane has none, or no valid one.
    Cluster,
    /// The cluster has no endpoint that can be reached.
    NoEndpoint,
    /// The control plane's drop policy dropped the call.
    Dropped,
    /// The cluster has reached its maximum of calls in flight.
    CircuitBreaker,
    /// The queue of calls that wait for room on the endpoint's connections is full.
    QueueFull,
    /// The tokio runtime on which the channel was made has been shut down.
    RuntimeEnded,
    /// The call's deadline has passed.
    DeadlineExceeded,
    /// The call was sent, and its connection or stream failed before a response came.
    Connection,
    /// The request's own body failed.
    RequestBody,
    /// HTTP/2 cannot carry the request, for example because of a `connection` header.
    MalformedRequest,
    /// The response ended before it was complete.
    ResponseBody,
}

impl MeshError {
    pub(crate) fn new(kind: MeshErrorKind, reason: impl Into<Reason>) -> Self {
        Self(Box::new(ErrorParts {
            kind,
            label: None,
            cluster: None,
            endpoint: None,
            reason: reason.into(),
            ambient: None,
            h2_code: None,
            may_have_been_seen: false,
            source: None,
        }))
    }

    pub(crate) fn for_target(mut self, label: &Arc<TargetLabel>, ambient: Option<Arc<SourceError>>) -> Self {
        self.0.label = Some(label.clone());
        self.0.ambient = ambient;
        self
    }

    pub(crate) fn in_cluster(mut self, cluster: &Name) -> Self {
        self.0.cluster = Some(cluster.clone());
        self
    }

    pub(crate) fn at(mut self, endpoint: SocketAddr) -> Self {
        self.0.endpoint = Some(endpoint);
        self
    }

    /// With this attempt's cluster and endpoint.
    pub(crate) fn of_attempt<T>(self, attempt: &Attempt<T>) -> Self {
        let (cluster, address) = attempt.place_in_texts();
        self.in_cluster(&cluster).at(address)
    }

    pub(crate) fn caused_by(
        mut self,
        h2_code: Option<u32>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        self.0.h2_code = h2_code;
        self.0.source = Some(source.into());
        self
    }

    /// Sets whether an attempt of the call may have reached an endpoint.
    pub(crate) fn seen(mut self, may_have_been_seen: bool) -> Self {
        self.0.may_have_been_seen |= may_have_been_seen;
        self
    }

    /// The kind of failure.
    pub fn kind(&self) -> MeshErrorKind {
        self.0.kind
    }

    /// Whether the call's deadline had passed.
    pub fn is_deadline_exceeded(&self) -> bool {
        self.0.kind == MeshErrorKind::DeadlineExceeded
    }

    /// Whether the client refused the call to reduce load: by the cluster's circuit breaker, a full queue, or the control
    /// plane's drop policy.
    pub fn is_overload(&self) -> bool {
        use MeshErrorKind as Kind;
        matches!(self.0.kind, Kind::CircuitBreaker | Kind::QueueFull | Kind::Dropped)
    }

    /// Whether no endpoint has seen any attempt of the call, so that repeating it is safe.
    pub fn is_unsent(&self) -> bool {
        use MeshErrorKind as Kind;
        !self.0.may_have_been_seen
            && !matches!(
                self.0.kind,
                Kind::DeadlineExceeded | Kind::Connection | Kind::RequestBody | Kind::ResponseBody
            )
    }

    /// The HTTP/2 error code with which the endpoint ended the call, if it did.
    pub fn h2_code(&self) -> Option<u32> {
        self.0.h2_code
    }

    /// The call's cluster; `None` if the call failed before one was chosen.
    pub fn cluster(&self) -> Option<&Name> {
        self.0.cluster.as_ref()
    }

    /// The first address of the endpoint that was chosen for the last attempt; `None` if the call failed before one was
    /// chosen.
    pub fn endpoint(&self) -> Option<SocketAddr> {
        self.0.endpoint
    }
}

crate::debug_with_causes!(MeshError);

impl fmt::Display for MeshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ErrorParts { label, cluster, endpoint, reason, ambient, .. } = &*self.0;
        let mut separator = "";
        if let Some(label) = label {
            f.write_str(&label.target)?;
            separator = ", ";
        }
        if let Some(cluster) = cluster {
            write!(f, "{separator}cluster {cluster}")?;
            separator = ", ";
        }
        if let Some(endpoint) = endpoint {
            write!(f, "{separator}endpoint {endpoint}")?;
            separator = ", ";
        }
        if !separator.is_empty() {
            f.write_str(": ")?;
        }
        write!(f, "{reason}")?;
        // The problem with the control plane may be the reason itself, with an older duration in its text.
        let ambient = ambient.as_ref().filter(|ambient| !reason.contains(ambient.message()));
        if let Some(ambient) = ambient {
            write!(f, "; control plane: {ambient}")?;
        }
        // texts of the xDS client may contain the node already
        let is_named = |node: &str| {
            reason.contains(node) || ambient.is_some_and(|ambient| ambient.message().contains(node))
        };
        match label.as_ref().map(|label| &*label.node) {
            Some(node) if !node.is_empty() && !is_named(node) => write!(f, " (xDS node id: {node})"),
            _ => Ok(()),
        }
    }
}

impl Error for MeshError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{MeshError, MeshErrorKind, TargetLabel};
    use crate::runtime::{SourceError, Target};

    #[test]
    fn text_names_target_cluster_reason_control_plane_and_node() {
        let label = Arc::new(TargetLabel::new(&Target::new("cart"), "n-1".into()));
        let error = MeshError::new(MeshErrorKind::NoEndpoint, "connect to 127.0.0.1:1: refused")
            .in_cluster(&"cart".into());
        assert_eq!(error.to_string(), "cluster cart: connect to 127.0.0.1:1: refused");
        let ambient = |text: &str| Some(Arc::new(SourceError::new(text)));
        let error = error.for_target(&label, ambient("control server unreachable"));
        assert_eq!(
            error.to_string(),
            "xds:///cart, cluster cart: connect to 127.0.0.1:1: refused; control plane: control server \
             unreachable (xDS node id: n-1)"
        );
        let error = MeshError::new(MeshErrorKind::Configuration, "no listener (node n-1)")
            .for_target(&label, ambient("no listener (node n-1)"));
        assert_eq!(error.to_string(), "xds:///cart: no listener (node n-1)");
    }
}
