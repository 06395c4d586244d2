//! Flags that say for which client a question is asked.

use clap::{Args, ValueEnum};

use super::admin::percent_encoded;

/// For which client a question is asked; without any of them, a gRPC client that states nothing of itself.
#[derive(Debug, Args)]
pub(super) struct ViewerArguments {
    /// As this connected client is served: its node, or the number of its stream
    #[arg(long, value_name = "CLIENT", conflicts_with_all = ["namespace", "labels", "locality", "library"])]
    client: Option<String>,
    /// As a client of this namespace is served, which need not be connected
    #[arg(long, value_name = "NAMESPACE")]
    pub(super) namespace: Option<String>,
    /// As a client with these labels is served
    #[arg(long, value_name = "LABEL=VALUE,...")]
    labels: Option<String>,
    /// As a client of this place is served
    #[arg(long, value_name = "REGION/ZONE/SUBZONE")]
    locality: Option<String>,
    /// As a client with this library is served
    #[arg(long, value_name = "LIBRARY")]
    library: Option<Library>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Library {
    /// Ours
    Mesh,
    /// gRPC's own, of any language
    Grpc,
    /// Envoy
    Envoy,
}

impl ViewerArguments {
    /// The parts of a query.
    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
        let library = self.library.map(|library| match library {
            Library::Mesh => "MeshTonic".to_owned(),
            Library::Grpc => "Grpc".to_owned(),
            Library::Envoy => "Envoy".to_owned(),
        });
        let parts = [
            ("client", self.client.clone()),
            ("namespace", self.namespace.clone()),
            ("labels", self.labels.clone()),
            ("locality", self.locality.clone()),
            ("family", library),
        ];
        parts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// A path with a query.
pub(super) fn path(path: &str, parts: &[(&str, String)]) -> String {
    let parts = parts.iter().map(|(name, value)| format!("{name}={}", percent_encoded(value)));
    let query = parts.collect::<Vec<_>>().join("&");
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}
