//! Stock gRPC for Go: the programs in `interop/go/`.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::stock::{Client, Server, installed};

/// The programs on stock gRPC for Go.
#[derive(Debug, Clone)]
pub struct Go {
    programs: PathBuf,
}

impl Go {
    /// What `cargo xtask interop-setup` builds, as [`Python::find`](crate::python::Python::find).
    ///
    /// # Panics
    /// Without it, where `MESH_INTEROP=required` is set, as in CI.
    pub fn find(test: &str) -> Option<Self> {
        installed(test, xtask::interop::go(&xtask::workspace::root())).map(|programs| Self { programs })
    }

    /// Starts a greeter; `arguments` besides its name and version.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn server(
        &self,
        name: &str,
        version: &str,
        arguments: &[&str],
        bootstrap: Option<&Value>,
    ) -> Server {
        let command = Command::new(self.programs.join("server"));
        Server::spawn("Go", command, (name, version), arguments, bootstrap).await
    }

    /// Starts a client of `target` that takes orders; `bootstrap` is its xDS bootstrap, as JSON.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn client(&self, target: &str, bootstrap: Option<&Value>) -> Client {
        let mut command = Command::new(self.programs.join("client"));
        command.arg(target);
        Client::spawn(format!("Go client of {target}"), command, bootstrap).await
    }
}
