//! Stock gRPC for Java: the programs in `interop/java/`.

use std::process::Command;

use serde_json::Value;

use crate::stock::{Client, Server, installed};

/// The programs on stock gRPC for Java.
#[derive(Debug, Clone)]
pub struct Java {
    installed: xtask::interop::Java,
}

impl Java {
    /// What `cargo xtask interop-setup` builds, as [`Python::find`](crate::python::Python::find).
    ///
    /// # Panics
    /// Without it, where `MESH_INTEROP=required` is set, as in CI.
    pub fn find(test: &str) -> Option<Self> {
        installed(test, xtask::interop::java(&xtask::workspace::root())).map(|installed| Self { installed })
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
        let command = self.program("interop.GreeterServer");
        Server::spawn("Java", command, (name, version), arguments, bootstrap).await
    }

    /// Starts a client of `target` that takes orders; `bootstrap` is its xDS bootstrap, as JSON.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn client(&self, target: &str, bootstrap: Option<&Value>) -> Client {
        let mut command = self.program("interop.GreeterClient");
        command.arg(target);
        Client::spawn(format!("Java client of {target}"), command, bootstrap).await
    }

    fn program(&self, class: &str) -> Command {
        let mut command = Command::new(&self.installed.program);
        // Short processes: little is worth compiling twice, or collecting on several threads.
        command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"]);
        command.arg(&self.installed.class_path).arg(class);
        command
    }
}
