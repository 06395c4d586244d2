//! Stock gRPC in Python: the programs in `interop/`.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::stock::{Client, Server, installed};

/// A Python that has stock gRPC.
#[derive(Debug, Clone)]
pub struct Python {
    path: PathBuf,
}

impl Python {
    /// The environment that `cargo xtask interop-setup` makes. Without it there is `None`, and a warning that no test
    /// runner swallows; the test then returns.
    ///
    /// # Panics
    /// Without it, where `MESH_INTEROP=required` is set, as in CI.
    pub fn find(test: &str) -> Option<Self> {
        installed(test, xtask::interop::python(&xtask::workspace::root())).map(|path| Self { path })
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
        let command = self.program("greeter_server.py");
        Server::spawn("Python", command, (name, version), arguments, bootstrap).await
    }

    /// Starts a client of `target` that takes orders; `bootstrap` is its xDS bootstrap, as JSON.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn client(&self, target: &str, bootstrap: Option<&Value>) -> Client {
        let mut command = self.program("greeter_client.py");
        command.args(["--target", target, "--interactive"]);
        Client::spawn(format!("Python client of {target}"), command, bootstrap).await
    }

    /// Runs a program that reads JSON and prints JSON.
    ///
    /// # Panics
    /// When it fails.
    pub fn answer(&self, file: &str, question: &Value) -> Value {
        let mut command = self.program(file);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("stdin is a pipe");
        // The program reads all of it before it prints.
        stdin.write_all(question.to_string().as_bytes()).expect("the program reads");
        drop(stdin);
        let output = child.wait_with_output().expect("the program ends");
        assert!(output.status.success(), "{file}: {}", output.status);
        serde_json::from_slice(&output.stdout).expect("the program prints JSON")
    }

    pub(crate) fn program(&self, file: &str) -> Command {
        let mut command = Command::new(&self.path);
        // Nothing is to be written beside the sources.
        command.arg("-B").arg(xtask::workspace::root().join("tests/interop").join(file));
        command
    }
}
