//! Whether a server would answer a call, by the listener that it is served: an evaluator that is simple rather than fast.
//!
//! It decides as servers do (A41), and says what it cannot know: a rule may ask for an address that the question leaves open.

mod call;
mod rules;
#[cfg(test)]
pub(crate) mod tests;

use prost::{Message, Name};
use serde::{Deserialize, Serialize};
use xds_proto::envoy::config::listener::v3::filter::ConfigType as NetworkFilter;
use xds_proto::envoy::config::listener::v3::{FilterChain, Listener};
use xds_proto::envoy::config::rbac::v3::{Rbac as Rules, rbac};
use xds_proto::envoy::extensions::filters::http::rbac::v3::Rbac;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_filter::ConfigType;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, HttpFilter,
};
use xds_proto::google::protobuf::Any;

pub(crate) use call::Call;
use rules::Answer;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Verdict {
    /// The server answers it.
    Allowed,
    /// The server refuses it.
    Denied,
    /// That depends on what the question does not say.
    Open,
}

/// A verdict and its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What happens.
    pub verdict: Verdict,
    /// The rule that decides, `ns[shop]-policy[orders]-rule[0]`, or why there is none.
    pub reason: String,
    /// What policies on trial would do instead, if that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<String>,
}

impl Decision {
    fn new(verdict: Verdict, reason: impl Into<String>) -> Self {
        Self { verdict, reason: reason.into(), trial: None }
    }
}

/// What a server with this listener does with a call.
pub(crate) fn decide(listener: &Listener, call: &Call) -> Decision {
    let Some(chain) = chain(listener, call) else {
        return Decision::new(Verdict::Denied, "the server takes connections with mutual TLS only");
    };
    let is_secured = chain.transport_socket.is_some();
    if is_secured && call.principal.is_none() {
        return Decision::new(Verdict::Denied, "the server takes connections with mutual TLS only");
    }
    let call = if is_secured { call.clone() } else { Call { principal: None, ..call.clone() } };
    let (mut trial, mut asked) = (None, None);
    let (mut allowed_by, mut passed) = (None, None);
    for filter in filters(chain) {
        let Some(filter) = rbac_of(&filter) else { continue };
        if let Some(shadow) = &filter.shadow_rules {
            let (verdict, reason) = evaluate(shadow, &call);
            // Whether a service is asked about the call.
            if !filter.shadow_rules_stat_prefix.is_empty() {
                if verdict != Verdict::Allowed && asked.is_none() {
                    asked = Some(format!("{reason}: a service that the server asks decides"));
                }
                continue;
            }
            if verdict != Verdict::Allowed && trial.is_none() {
                trial = Some(format!("{}: {reason}", name(verdict)));
            }
        }
        let Some(rules) = filter.rules.as_ref().filter(|rules| rules.action() != rbac::Action::Log) else {
            continue;
        };
        let (verdict, reason) = evaluate(rules, &call);
        if verdict != Verdict::Allowed {
            return Decision { trial, ..Decision::new(verdict, reason) };
        }
        if rules.action() == rbac::Action::Allow {
            allowed_by = Some(reason);
        } else {
            passed = Some(reason);
        }
    }
    if let Some(asked) = asked {
        return Decision { trial, ..Decision::new(Verdict::Open, asked) };
    }
    let reason = allowed_by.or(passed).unwrap_or_else(|| "no policy restricts it".to_owned());
    Decision { trial, ..Decision::new(Verdict::Allowed, reason) }
}

const fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allowed => "allowed",
        Verdict::Denied => "denied",
        Verdict::Open => "open",
    }
}

/// The chain that takes the caller's connection: with an identity the one of TLS, if there is one.
fn chain<'l>(listener: &'l Listener, call: &Call) -> Option<&'l FilterChain> {
    let with_tls =
        |wanted: bool| listener.filter_chains.iter().find(|chain| chain.transport_socket.is_some() == wanted);
    match call.principal {
        Some(_) => with_tls(true).or_else(|| with_tls(false)),
        None => with_tls(false),
    }
}

fn filters(chain: &FilterChain) -> Vec<HttpFilter> {
    let manager = chain.filters.iter().find_map(|filter| match &filter.config_type {
        Some(NetworkFilter::TypedConfig(any)) => unpack::<HttpConnectionManager>(any),
        _ => None,
    });
    manager.map(|manager| manager.http_filters).unwrap_or_default()
}

fn rbac_of(filter: &HttpFilter) -> Option<Rbac> {
    match &filter.config_type {
        Some(ConfigType::TypedConfig(any)) => unpack(any),
        _ => None,
    }
}

fn unpack<M: Message + Name + Default>(any: &Any) -> Option<M> {
    if any.type_url == M::type_url() { M::decode(&*any.value).ok() } else { None }
}

/// What rules do with a call, and the rule that decides.
fn evaluate(rules: &Rules, call: &Call) -> (Verdict, String) {
    let mut policies: Vec<_> = rules.policies.iter().collect();
    policies.sort_unstable_by_key(|(name, _)| name.as_str());
    let answers: Vec<_> =
        policies.iter().map(|(name, policy)| (*name, rules::policy(policy, call))).collect();
    let first = |wanted: Answer| {
        answers.iter().find(|(_, answer)| *answer == wanted).map(|(name, _)| (*name).clone())
    };
    let (found, open) = (first(Answer::Yes), first(Answer::Unknown));
    let is_allow = rules.action() == rbac::Action::Allow;
    match (found, open) {
        (Some(rule), _) => (if is_allow { Verdict::Allowed } else { Verdict::Denied }, rule),
        (None, Some(rule)) => (Verdict::Open, format!("{rule} asks for what the question does not say")),
        (None, None) if is_allow => (Verdict::Denied, "no ALLOW policy matches".to_owned()),
        (None, None) => (Verdict::Allowed, "no DENY policy matches".to_owned()),
    }
}
