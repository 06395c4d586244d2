//! `to.operation`: what is called.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{source, value};
use crate::finding::Findings;
use crate::yaml::FieldPath;

/// All fields that are set must match, each with any of its values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Operation {
    pub(crate) hosts: Vec<String>,
    pub(crate) not_hosts: Vec<String>,
    pub(crate) ports: Vec<String>,
    pub(crate) not_ports: Vec<String>,
    pub(crate) methods: Vec<String>,
    pub(crate) not_methods: Vec<String>,
    pub(crate) paths: Vec<String>,
    pub(crate) not_paths: Vec<String>,
}

impl Operation {
    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        if *self == Self::default() {
            findings.error(path.clone(), "found nothing, expected what is called");
        }
        let fields = [
            ("hosts", &self.hosts),
            ("notHosts", &self.not_hosts),
            ("methods", &self.methods),
            ("notMethods", &self.not_methods),
        ];
        for (name, values) in fields {
            value::check(values, &path.field(name), findings);
        }
        for (name, values) in [("ports", &self.ports), ("notPorts", &self.not_ports)] {
            source::ports(values, &path.field(name), findings);
        }
        for (name, values) in [("paths", &self.paths), ("notPaths", &self.not_paths)] {
            paths(values, &path.field(name), findings);
        }
        for (index, method) in self.methods.iter().enumerate() {
            if matches!(value::Text::parse(method), value::Text::Exact(exact) if exact != "POST") {
                let message =
                    format!("gRPC calls are all POST: a rule for {method} is for other HTTP requests only");
                findings.warning(path.field("methods").index(index), message);
            }
        }
    }
}

fn paths(values: &[String], path: &FieldPath, findings: &mut Findings) {
    for (index, one) in values.iter().enumerate() {
        let path = path.index(index);
        match value::path_template(one) {
            Err(expected) => findings.error(path, format!("found `{one}`, expected {expected}")),
            Ok(Some(_)) => {}
            Ok(None) if !one.starts_with(['/', '*']) => {
                findings.error(path, format!("found `{one}`, expected a path such as `/shop.Orders/Get`"));
            }
            Ok(None) => value::check(std::slice::from_ref(one), &path, findings),
        }
    }
}
