//! The configuration: a folder with a file per service.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Result;
use tempfile::TempDir;

/// A folder that is removed with this value.
#[derive(Debug)]
pub(crate) struct Folder {
    folder: TempDir,
    services: u32,
    endpoints: u32,
    scopes: u32,
}

impl Folder {
    /// `endpoints` are spread evenly over the services.
    pub(crate) fn write(services: u32, endpoints: u32, scopes: u32) -> Result<Self> {
        let folder = Self { folder: tempfile::tempdir()?, services, endpoints, scopes };
        for service in 0..services {
            folder.change(service, 0)?;
            if scopes > 1 && service % 10 == 0 {
                folder.differ(service)?;
            }
        }
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Gives the clients of each namespace a timeout of their own for a service.
    fn differ(&self, service: u32) -> Result<()> {
        let host = host(service);
        let mut text = format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: s{service}, namespace: bench}}\n\
             spec:\n  hosts: [{host}]\n  http:\n"
        );
        for scope in 0..self.scopes {
            writeln!(
                text,
                "  - {{match: [{{sourceNamespace: {}}}], timeout: {}s, route: [{{destination: {{host: {host}}}}}]}}",
                namespace(scope),
                scope + 1
            )?;
        }
        Ok(fs::write(self.path().join(format!("v{service}.yaml")), text)?)
    }

    /// Writes the file of a service; the port of its first endpoint depends on the generation. Returns when the file
    /// has been renamed to its place.
    pub(crate) fn change(&self, service: u32, generation: u32) -> Result<()> {
        let count = self.endpoints / self.services + u32::from(service < self.endpoints % self.services);
        let mut text = format!(
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: s{service}, namespace: bench}}\n\
             spec:\n  hosts: [{}]\n  resolution: STATIC\n  ports: [{{number: {PORT}, name: grpc, protocol: GRPC}}]\n  \
             endpoints:\n",
            host(service)
        );
        for endpoint in 0..count {
            let port = 10_000 + if endpoint == 0 { generation % 50_000 } else { 0 };
            let (a, b, c) = (service / 250, service % 250, endpoint);
            let zone = ZONES[(endpoint % 2) as usize];
            writeln!(
                text,
                "  - {{address: 10.{a}.{b}.{c}, ports: {{grpc: {port}}}, locality: region/zone-{zone}}}",
                c = c % 256,
                a = a + 4 * (c / 256),
            )?;
        }
        let path = self.path().join(format!("s{service}.yaml"));
        let unfinished = path.with_extension("new");
        fs::write(&unfinished, text)?;
        Ok(fs::rename(unfinished, path)?)
    }
}

fn host(service: u32) -> String {
    format!("s{service}.bench.svc.cluster.local")
}

/// The namespace of the clients of a scope.
pub(crate) fn namespace(scope: u32) -> String {
    format!("team{scope}")
}

/// What a client subscribes to for a service, by [`TYPES`](super::wire::TYPES).
pub(crate) fn names(service: u32) -> [Vec<String>; 5] {
    let host = host(service);
    let cluster = cluster(service);
    let collections = ZONES.map(|zone| format!("{}0.region%2Fzone-{zone}%2F/*", collection_prefix(service)));
    [
        vec![format!("{host}:{PORT}")],
        vec![cluster.clone()],
        vec![cluster.clone()],
        vec![cluster],
        collections.into(),
    ]
}

/// The name of a service's endpoints.
pub(crate) fn cluster(service: u32) -> String {
    format!("outbound|{PORT}||{}", host(service))
}

/// How the names of its endpoints begin, each on its own.
pub(crate) fn collection_prefix(service: u32) -> String {
    format!("xdstp:///envoy.config.endpoint.v3.LbEndpoint/outbound%7C{PORT}%7C%7C{}/", host(service))
}

const ZONES: [&str; 2] = ["a", "b"];
const PORT: u16 = 80;
