//! The configuration: files of ten services each.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use tempfile::TempDir;

/// A folder that is removed with this value.
#[derive(Debug)]
pub(crate) struct Folder {
    folder: TempDir,
    endpoints: u32,
    /// The share of the first version in percent, where it is not 90.
    weights: Mutex<HashMap<u32, u32>>,
}

impl Folder {
    pub(crate) fn write(services: u32, endpoints: u32) -> Result<Self> {
        let folder = Self { folder: tempfile::tempdir()?, endpoints, weights: Mutex::default() };
        for file in 0..services / SERVICES_PER_FILE {
            folder.write_file(file)?;
        }
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Changes the weight of one service's route.
    pub(crate) fn change_weight(&self, service: u32, change: u32) -> Result<()> {
        self.set_weight(service, change);
        self.write_file(service / SERVICES_PER_FILE)
    }

    /// Changes the weights of all services of a file.
    pub(crate) fn change_file(&self, file: u32, change: u32) -> Result<()> {
        for service in services(file) {
            self.set_weight(service, change);
        }
        self.write_file(file)
    }

    /// Adds routes to hosts that do not exist.
    pub(crate) fn break_references(&self, count: u32) -> Result<()> {
        let mut text = String::new();
        for number in 0..count {
            writeln!(
                text,
                "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: broken-{number}, namespace: \
                 other}}\nspec: {{hosts: [gone-{number}], http: [{{route: [{{destination: {{host: lost-{number}}}}}]}}]}}"
            )?;
        }
        Ok(fs::write(self.path().join("broken.yaml"), text)?)
    }

    fn set_weight(&self, service: u32, change: u32) {
        let mut weights = self.weights.lock().unwrap_or_else(PoisonError::into_inner);
        let weight = weights.entry(service).or_insert(90);
        // Never the same as before.
        *weight = (*weight + 1 + change % 40) % 100;
    }

    fn write_file(&self, file: u32) -> Result<()> {
        let mut text = String::new();
        for service in services(file) {
            self.write_service(service, &mut text)?;
        }
        let path = self.path().join(format!("file-{file}.yaml"));
        let unfinished = path.with_extension("new");
        fs::write(&unfinished, text)?;
        Ok(fs::rename(unfinished, path)?)
    }

    fn write_service(&self, service: u32, text: &mut String) -> Result<()> {
        let weights = self.weights.lock().unwrap_or_else(PoisonError::into_inner);
        let weight = weights.get(&service).copied().unwrap_or(90);
        let (name, metadata) = (format!("s{service}"), format!("{{name: s{service}, namespace: bench}}"));
        let head = |kind: &str| {
            format!("---\napiVersion: networking.istio.io/v1\nkind: {kind}\nmetadata: {metadata}\nspec:\n")
        };
        write!(
            text,
            "{}  hosts: [{name}.bench.svc.cluster.local]\n  resolution: STATIC\n  ports: [{{number: 80, name: grpc, protocol: \
             GRPC}}]\n  endpoints:\n",
            head("ServiceEntry")
        )?;
        for endpoint in 0..self.endpoints {
            let (a, b, version) = (service / 250, service % 250, endpoint % 2 + 1);
            writeln!(text, "  - {{address: 10.{a}.{b}.{endpoint}, labels: {{version: v{version}}}}}")?;
        }
        writeln!(
            text,
            "{}  host: {name}\n  subsets: [{{name: v1, labels: {{version: v1}}}}, {{name: v2, labels: {{version: v2}}}}]",
            head("DestinationRule")
        )?;
        writeln!(
            text,
            "{}  hosts: [{name}]\n  http:\n  - route:\n    - {{destination: {{host: {name}, subset: v1}}, weight: {weight}}}\n    - \
             {{destination: {{host: {name}, subset: v2}}, weight: {}}}",
            head("VirtualService"),
            100 - weight
        )?;
        Ok(())
    }
}

fn services(file: u32) -> std::ops::Range<u32> {
    file * SERVICES_PER_FILE..(file + 1) * SERVICES_PER_FILE
}

pub(crate) const SERVICES_PER_FILE: u32 = 10;
