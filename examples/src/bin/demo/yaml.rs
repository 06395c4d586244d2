//! The configuration of the demo: what an operator would write, edited while it runs.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::identity::{CALLERS, FRONT, GREETER};
use super::process::Endpoint;

/// The service's name in the mesh.
pub(crate) const SERVICE: &str = "greeter.demo.svc.cluster.local";
/// The service's port.
pub(crate) const PORT: u16 = 50051;
/// The service's namespace.
pub(crate) const NAMESPACE: &str = "demo";

/// The folder that the control-server watches.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// A new folder below `home`.
    pub(crate) fn create(home: &Path) -> Result<Self> {
        let folder = home.join("config");
        std::fs::create_dir(&folder).with_context(|| format!("creating {}", folder.display()))?;
        Ok(Self(folder))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes the service, its endpoints and its two versions.
    pub(crate) fn write_service(&self, endpoints: &[Endpoint]) -> Result<()> {
        let mut text = format!(
            "apiVersion: networking.istio.io/v1\n\
             kind: ServiceEntry\n\
             metadata: {{name: greeter, namespace: {NAMESPACE}}}\n\
             spec:\n\
             \x20 hosts: [{SERVICE}]\n\
             \x20 location: MESH_INTERNAL\n\
             \x20 resolution: STATIC\n\
             \x20 ports: [{{number: {PORT}, name: grpc, protocol: GRPC}}]\n\
             \x20 endpoints:\n"
        );
        for Endpoint { address, version, .. } in endpoints {
            let (ip, port) = (address.ip(), address.port());
            // the label says that the endpoint takes mutual TLS
            let labels = format!("app: {GREETER}, version: {version}, security.istio.io/tlsMode: istio");
            writeln!(
                text,
                "  - {{address: {ip}, ports: {{grpc: {port}}}, serviceAccount: {GREETER}, labels: {{{labels}}}}}"
            )?;
        }
        write!(
            text,
            "---\n\
             apiVersion: networking.istio.io/v1\n\
             kind: DestinationRule\n\
             metadata: {{name: greeter, namespace: {NAMESPACE}}}\n\
             spec:\n\
             \x20 host: {SERVICE}\n\
             \x20 trafficPolicy: {{loadBalancer: {{simple: ROUND_ROBIN}}}}\n\
             \x20 subsets:\n\
             \x20 - {{name: v1, labels: {{version: v1}}}}\n\
             \x20 - {{name: v2, labels: {{version: v2}}}}\n"
        )?;
        self.replace("service.yaml", &text)
    }

    /// Writes the route: so many of a hundred calls to v1, the others to v2.
    pub(crate) fn write_split(&self, v1: u32) -> Result<()> {
        self.replace("route.yaml", &route(v1, "weight"))
    }

    /// Writes that the whole mesh takes nothing but mutual TLS, and that only the front may call the greeter.
    pub(crate) fn write_security(&self) -> Result<()> {
        let text = format!(
            "apiVersion: security.istio.io/v1\n\
             kind: PeerAuthentication\n\
             metadata: {{name: mesh, namespace: istio-system}}\n\
             spec: {{mtls: {{mode: STRICT}}}}\n\
             ---\n\
             apiVersion: security.istio.io/v1\n\
             kind: AuthorizationPolicy\n\
             metadata: {{name: greeter, namespace: {NAMESPACE}}}\n\
             spec:\n\
             \x20 selector: {{matchLabels: {{app: {GREETER}}}}}\n\
             \x20 rules:\n\
             \x20 - from: [{{source: {{principals: [cluster.local/ns/{CALLERS}/sa/{FRONT}]}}}}]\n"
        );
        self.replace("security.yaml", &text)
    }

    /// Writes a route with a spelling mistake.
    pub(crate) fn write_mistake(&self) -> Result<()> {
        self.replace("route.yaml", &route(0, "wieght"))
    }

    /// Replaces a file in one step, so that no reader sees half of it.
    fn replace(&self, name: &str, text: &str) -> Result<()> {
        let next = self.0.join(format!(".{name}.next"));
        let file = self.0.join(name);
        std::fs::write(&next, text)
            .and_then(|()| std::fs::rename(&next, &file))
            .with_context(|| format!("writing {}", file.display()))
    }
}

fn route(v1: u32, weight: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\n\
         kind: VirtualService\n\
         metadata: {{name: greeter, namespace: {NAMESPACE}}}\n\
         spec:\n\
         \x20 hosts: [{SERVICE}]\n\
         \x20 http:\n\
         \x20 - timeout: 5s\n\
         \x20   retries: {{attempts: 3, retryOn: unavailable}}\n\
         \x20   route:\n\
         \x20   - destination: {{host: {SERVICE}, subset: v1}}\n\
         \x20     {weight}: {v1}\n\
         \x20   - destination: {{host: {SERVICE}, subset: v2}}\n\
         \x20     weight: {}\n",
        100 - v1
    )
}
