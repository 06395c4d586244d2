//! Stock gRPC for Node: the programs in `interop/node/`.

use std::process::Command;

use serde_json::{Value, json};

use crate::stock::{Client, installed};

/// A Node that has stock gRPC.
#[derive(Debug, Clone)]
pub struct Node {
    installed: xtask::interop::Node,
}

impl Node {
    /// What `cargo xtask interop-setup` installs, as [`Python::find`](crate::python::Python::find).
    ///
    /// # Panics
    /// Without it, where `MESH_INTEROP=required` is set, as in CI.
    pub fn find(test: &str) -> Option<Self> {
        installed(test, xtask::interop::node(&xtask::workspace::root())).map(|installed| Self { installed })
    }

    /// Starts a client of `target` that takes orders; `bootstrap` is its xDS bootstrap, as JSON.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn client(&self, target: &str, mut bootstrap: Value) -> Client {
        if let Some(node) = bootstrap["node"].as_object_mut() {
            // It refuses a node without.
            node.entry("locality").or_insert_with(|| json!({}));
        }
        let mut command = Command::new(&self.installed.program);
        command.arg(self.installed.folder.join("greeter_client.js")).arg(target);
        Client::spawn(format!("Node client of {target}"), command, Some(&bootstrap)).await
    }
}
