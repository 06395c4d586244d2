//! What a call's hash is made of.
//!
//! A client passes over the kinds that it does not know. Where Envoy has a kind of its own, that one stands first and ends the list
//! for Envoy alone.

use xds_proto::envoy::config::route::v3::route_action::HashPolicy;
use xds_proto::envoy::config::route::v3::route_action::hash_policy::{
    ConnectionProperties, Cookie, FilterState, Header, PolicySpecifier,
};
use xds_proto::envoy::r#type::matcher::v3::{RegexMatchAndSubstitute, RegexMatcher};

use super::route::duration;
use crate::model::HashKey;

pub(super) fn translate(key: &HashKey) -> Vec<HashPolicy> {
    match key {
        HashKey::Header(name) => vec![of(header(name, None))],
        HashKey::Cookie { name, path, lifetime } => {
            let cookie = Cookie { name: name.clone(), ttl: lifetime.map(duration), path: path.clone() };
            let in_header = header("cookie", Some(value_of_cookie(name)));
            vec![terminal(PolicySpecifier::Cookie(cookie)), of(in_header)]
        }
        // RDS-17: gRPC clients know their channels.
        HashKey::Caller => {
            let address = PolicySpecifier::ConnectionProperties(ConnectionProperties { source_ip: true });
            let channel = PolicySpecifier::FilterState(FilterState { key: CHANNEL_ID.to_owned() });
            vec![terminal(address), of(channel)]
        }
    }
}

fn of(specifier: PolicySpecifier) -> HashPolicy {
    HashPolicy { policy_specifier: Some(specifier), ..HashPolicy::default() }
}

/// If it yields a hash, the others are not looked at.
fn terminal(specifier: PolicySpecifier) -> HashPolicy {
    HashPolicy { terminal: true, ..of(specifier) }
}

fn header(name: &str, regex_rewrite: Option<RegexMatchAndSubstitute>) -> PolicySpecifier {
    PolicySpecifier::Header(Header { header_name: name.to_owned(), regex_rewrite })
}

/// Replaces a header of cookies by the value of one of them. Without that cookie the header stays whole.
fn value_of_cookie(name: &str) -> RegexMatchAndSubstitute {
    let regex = format!("^(?:.*;)?[ ]*{}=([^;]*).*$", regex::escape(name));
    RegexMatchAndSubstitute {
        pattern: Some(RegexMatcher { regex, ..RegexMatcher::default() }),
        substitution: r"\1".to_owned(),
    }
}

const CHANNEL_ID: &str = "io.grpc.channel_id";
