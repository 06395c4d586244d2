//! Why a call failed without the service's own answer.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::net::SocketAddr;

use crate::config::Name;

use super::SourceError;
use super::attempt::Attempt;

/// Why a call failed without the service's own answer.
///
/// Its text names the target, the cluster, the last endpoint error, problems with the control plane and the xDS node, as
/// far as they are known. [`source`](Error::source) has the cause where there is one.
// OB-23
pub struct MeshError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: MeshErrorKind,
    target: String,
    cluster: Option<Name>,
    endpoint: Option<SocketAddr>,
    reason: Cow<'static, str>,
    ambient: Option<SourceError>,
    node: Option<Name>,
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
    pub(crate) fn new(kind: MeshErrorKind, reason: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            target: String::new(),
            cluster: None,
            endpoint: None,
            reason: reason.into(),
            ambient: None,
            node: None,
            h2_code: None,
            may_have_been_seen: false,
            source: None,
        }))
    }

    pub(crate) fn for_target(mut self, target: String, node: Name, ambient: Option<SourceError>) -> Self {
        self.0.target = target;
        self.0.node = Some(node).filter(|node| !node.is_empty());
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
        let Inner { target, cluster, endpoint, reason, ambient, node, .. } = &*self.0;
        let places = [
            Some(target.clone()).filter(|target| !target.is_empty()),
            cluster.as_ref().map(|cluster| format!("cluster {cluster}")),
            endpoint.map(|endpoint| format!("endpoint {endpoint}")),
        ];
        let places: Vec<_> = places.into_iter().flatten().collect();
        if !places.is_empty() {
            write!(f, "{}: ", places.join(", "))?;
        }
        f.write_str(reason)?;
        // The problem with the control plane may be the reason itself, with an older duration in its text.
        let ambient = ambient.as_ref().filter(|ambient| !reason.contains(ambient.message()));
        let ambient = ambient.map(ToString::to_string).unwrap_or_default();
        if !ambient.is_empty() {
            write!(f, "; control plane: {ambient}")?;
        }
        // texts of the xDS client may contain the node already
        match node {
            Some(node) if !reason.contains(&**node) && !ambient.contains(&**node) => {
                write!(f, " (xDS node id: {node})")
            }
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
    use super::{MeshError, MeshErrorKind};
    use crate::runtime::SourceError;

    #[test]
    fn text_names_target_cluster_reason_control_plane_and_node() {
        let error = MeshError::new(MeshErrorKind::NoEndpoint, "connect to 127.0.0.1:1: refused")
            .in_cluster(&"cart".into());
        assert_eq!(error.to_string(), "cluster cart: connect to 127.0.0.1:1: refused");
        let ambient = |text: &str| Some(SourceError::new(text));
        let error =
            error.for_target("xds:///cart".into(), "n-1".into(), ambient("control server unreachable"));
        assert_eq!(
            error.to_string(),
            "xds:///cart, cluster cart: connect to 127.0.0.1:1: refused; control plane: control server \
             unreachable (xDS node id: n-1)"
        );
        let error = MeshError::new(MeshErrorKind::Configuration, "no listener (node n-1)").for_target(
            "xds:///cart".into(),
            "n-1".into(),
            ambient("no listener (node n-1)"),
        );
        assert_eq!(error.to_string(), "xds:///cart: no listener (node n-1)");
    }
}
