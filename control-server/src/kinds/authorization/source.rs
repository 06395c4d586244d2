//! `from.source`: who calls.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::address::AddressRange;
use super::{Action, value};
use crate::finding::Findings;
use crate::kinds::check::{self, is_host};
use crate::yaml::FieldPath;

/// All fields that are set must match, each with any of its values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Source {
    pub(crate) principals: Vec<String>,
    pub(crate) not_principals: Vec<String>,
    pub(crate) request_principals: Vec<String>,
    pub(crate) not_request_principals: Vec<String>,
    pub(crate) namespaces: Vec<String>,
    pub(crate) not_namespaces: Vec<String>,
    pub(crate) service_accounts: Vec<String>,
    pub(crate) not_service_accounts: Vec<String>,
    pub(crate) trust_domains: Vec<String>,
    pub(crate) not_trust_domains: Vec<String>,
    pub(crate) ip_blocks: Vec<String>,
    pub(crate) not_ip_blocks: Vec<String>,
    pub(crate) remote_ip_blocks: Vec<String>,
    pub(crate) not_remote_ip_blocks: Vec<String>,
}

/// A service account: `namespace/name`, or a name in the policy's own namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServiceAccount<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
}

impl<'a> ServiceAccount<'a> {
    pub(crate) fn parse(text: &'a str, own_namespace: &'a str) -> Self {
        let (namespace, name) = text.split_once('/').unwrap_or((own_namespace, text));
        Self { namespace, name }
    }
}

impl Source {
    pub(super) fn check(&self, action: Action, path: &FieldPath, findings: &mut Findings) {
        if *self == Self::default() {
            findings.error(path.clone(), "found nothing, expected who calls");
        }
        let fields = [
            ("principals", &self.principals),
            ("notPrincipals", &self.not_principals),
            ("requestPrincipals", &self.request_principals),
            ("notRequestPrincipals", &self.not_request_principals),
            ("namespaces", &self.namespaces),
            ("notNamespaces", &self.not_namespaces),
            ("trustDomains", &self.trust_domains),
            ("notTrustDomains", &self.not_trust_domains),
        ];
        for (name, values) in fields {
            value::check(values, &path.field(name), findings);
        }
        for (name, values) in [("principals", &self.principals), ("notPrincipals", &self.not_principals)] {
            principals(values, action, &path.field(name), findings);
        }
        self.check_accounts(path, findings);
        let addresses = [
            ("ipBlocks", &self.ip_blocks),
            ("notIpBlocks", &self.not_ip_blocks),
            ("remoteIpBlocks", &self.remote_ip_blocks),
            ("notRemoteIpBlocks", &self.not_remote_ip_blocks),
        ];
        for (name, values) in addresses {
            ranges(values, &path.field(name), findings);
        }
        for name in ["remoteIpBlocks", "notRemoteIpBlocks"] {
            let is_set = addresses.iter().any(|(other, values)| *other == name && !values.is_empty());
            if is_set {
                let message = "means ipBlocks: servers believe no header that names another address";
                findings.warning(path.field(name), message);
            }
        }
    }

    fn check_accounts(&self, path: &FieldPath, findings: &mut Findings) {
        let fields =
            [("serviceAccounts", &self.service_accounts), ("notServiceAccounts", &self.not_service_accounts)];
        let others = [&self.principals, &self.not_principals, &self.namespaces, &self.not_namespaces];
        for (name, values) in fields {
            let path = path.field(name);
            if !values.is_empty() && others.iter().any(|other| !other.is_empty()) {
                findings.error(path.clone(), "found beside principals or namespaces, expected one of them");
            }
            if values.len() > MAX_ACCOUNTS {
                let message = format!("found {} items, expected at most {MAX_ACCOUNTS}", values.len());
                findings.error(path.clone(), message);
            }
            for (index, value) in values.iter().enumerate() {
                let account = ServiceAccount::parse(value, "default");
                if !is_host(account.namespace) || !is_host(account.name) {
                    let message =
                        format!("found `{value}`, expected `account` or `namespace/account`, without `*`");
                    findings.error(path.index(index), message);
                }
            }
        }
    }
}

/// B9 of the identity cases: a principal that no caller can have is reported.
pub(super) fn principals(values: &[String], action: Action, path: &FieldPath, findings: &mut Findings) {
    for (index, one) in values.iter().enumerate() {
        let path = path.index(index);
        let text = value::Text::parse(one);
        if text.literal().contains("://") {
            let message =
                format!("found `{one}`, expected it without the scheme: `cluster.local/ns/shop/sa/web`");
            findings.error(path, message);
        } else if matches!(text, value::Text::Exact(exact) if !is_account(exact)) {
            let effect =
                if action == Action::Deny { "the rule denies nobody" } else { "the rule is for nobody" };
            let message = format!(
                "{effect}: found `{one}`, expected an identity such as `cluster.local/ns/shop/sa/web`"
            );
            findings.warning(path, message);
        }
    }
}

/// `trust-domain/ns/namespace/sa/account`.
fn is_account(text: &str) -> bool {
    let parts: Vec<&str> = text.split('/').collect();
    matches!(parts.as_slice(), [domain, "ns", namespace, "sa", account] if
        [domain, namespace, account].iter().all(|part| !part.is_empty()))
}

pub(super) fn ranges(values: &[String], path: &FieldPath, findings: &mut Findings) {
    for (index, value) in values.iter().enumerate() {
        if AddressRange::parse(value).is_none() {
            let message = format!("found `{value}`, expected an IP address or a range such as `10.0.0.0/8`");
            findings.error(path.index(index), message);
        }
    }
}

pub(super) fn ports(values: &[String], path: &FieldPath, findings: &mut Findings) {
    for (index, value) in values.iter().enumerate() {
        match value.parse() {
            Ok(number) => check::port(number, &path.index(index), findings),
            Err(_) => {
                findings.error(path.index(index), format!("found `{value}`, expected the number of a port"));
            }
        }
    }
}

const MAX_ACCOUNTS: usize = 16;
