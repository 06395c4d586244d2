//! Who calls: identities, addresses, tokens.

use xds_proto::envoy::config::core::v3::CidrRange;
use xds_proto::envoy::config::rbac::v3::Principal;
use xds_proto::envoy::config::rbac::v3::principal::{Authenticated, Identifier};
use xds_proto::envoy::r#type::matcher::v3::StringMatcher;
use xds_proto::google::protobuf::UInt32Value;

use super::claim;
use super::logic::{Condition, Effect, Proof, Proven, principal};
use super::operation::{matches_regex, string_matcher};
use crate::kinds::authorization::{AddressRange, ServiceAccount, Source, Text};
use crate::model::DEFAULT_TRUST_DOMAIN;

type Caller = Condition<Principal>;

/// What the meaning of a rule's source depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'c> {
    /// Of the policy.
    pub(super) namespace: &'c str,
    /// The mesh's own.
    pub(super) trust_domain: &'c str,
    pub(super) effect: Effect,
    pub(super) proven: Proven,
}

/// Which trust domains a name without one means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Domain {
    /// The mesh's own.
    Own,
    Any,
}

impl Context<'_> {
    /// A condition about a caller's identity.
    fn identity(
        self,
        values: &[String],
        not_values: &[String],
        test: impl Fn(&str, Domain) -> Caller,
    ) -> Caller {
        if values.is_empty() && not_values.is_empty() {
            return Caller::Always;
        }
        if self.proven.identity == Proof::Unchecked {
            return self.effect.unproven();
        }
        // P7 of the identity cases: an account of another trust domain is not that of the same name here. Where that would
        // widen what is allowed, a name means the mesh's own domain; where it would narrow what is denied, any.
        let (wanted, unwanted) = match self.effect {
            Effect::Allow => (Domain::Own, Domain::Any),
            Effect::Deny => (Domain::Any, Domain::Own),
        };
        Caller::all([
            Caller::of_values(values, &[], |value| test(value, wanted)),
            Caller::of_values(&[], not_values, |value| test(value, unwanted)),
        ])
    }

    pub(super) fn principals(self, values: &[String], not_values: &[String]) -> Caller {
        self.identity(values, not_values, |value, _| {
            authenticated(match Text::parse(value) {
                Text::Present => string_matcher(Text::Prefix(SCHEME)),
                Text::Exact(exact) => {
                    string_matcher(Text::Exact(&format!("{SCHEME}{}", self.resolved(exact))))
                }
                Text::Prefix(prefix) => {
                    string_matcher(Text::Prefix(&format!("{SCHEME}{}", self.resolved(prefix))))
                }
                // B9 of the identity cases: the end of the identity, whatever stands before it.
                Text::Suffix(suffix) => matches_regex(format!("{SCHEME}.*{}", regex::escape(suffix))),
            })
        })
    }

    pub(super) fn namespaces(self, values: &[String], not_values: &[String], of_domains: bool) -> Caller {
        self.identity(values, not_values, |value, domain| {
            let domain = if of_domains { Domain::Any } else { domain };
            authenticated(match (Text::parse(value), domain) {
                (Text::Exact(name), Domain::Own) => {
                    string_matcher(Text::Prefix(&format!("{SCHEME}{}/ns/{name}/", self.trust_domain)))
                }
                (text, domain) => {
                    matches_regex(format!("{SCHEME}{}/ns/{}/.+", self.domain(domain), segment(text)))
                }
            })
        })
    }

    fn accounts(self, source: &Source) -> Caller {
        let of_domains = !source.trust_domains.is_empty();
        self.identity(&source.service_accounts, &source.not_service_accounts, |value, domain| {
            let ServiceAccount { namespace, name } = ServiceAccount::parse(value, self.namespace);
            let domain = if of_domains { Domain::Any } else { domain };
            authenticated(match domain {
                Domain::Own => string_matcher(Text::Exact(&format!(
                    "{SCHEME}{}/ns/{namespace}/sa/{name}",
                    self.trust_domain
                ))),
                Domain::Any => {
                    let (namespace, name) = (regex::escape(namespace), regex::escape(name));
                    matches_regex(format!("{SCHEME}[^/]+/ns/{namespace}/sa/{name}"))
                }
            })
        })
    }

    fn trust_domains(self, source: &Source) -> Caller {
        self.identity(&source.trust_domains, &source.not_trust_domains, |value, _| {
            authenticated(match Text::parse(value) {
                // P7 of the identity cases: the slash ends the name.
                Text::Exact(name) => {
                    let name = if name == DEFAULT_TRUST_DOMAIN { self.trust_domain } else { name };
                    string_matcher(Text::Prefix(&format!("{SCHEME}{}/", name.to_ascii_lowercase())))
                }
                text => matches_regex(format!("{SCHEME}{}/.*", segment(text).to_ascii_lowercase())),
            })
        })
    }

    /// A principal with the mesh's own trust domain in the place of Istio's name for it.
    fn resolved(self, text: &str) -> String {
        let (domain, rest) = text.split_at(text.find('/').unwrap_or(text.len()));
        let domain = if domain == DEFAULT_TRUST_DOMAIN { self.trust_domain } else { domain };
        format!("{}{rest}", domain.to_ascii_lowercase())
    }

    fn domain(self, domain: Domain) -> String {
        match domain {
            Domain::Own => regex::escape(self.trust_domain),
            Domain::Any => "[^/]+".to_owned(),
        }
    }

    /// The principal of a token, `issuer/subject`.
    pub(super) fn request_principals(self, values: &[String], not_values: &[String]) -> Caller {
        self.token(values, not_values, claim::principal)
    }

    /// A condition about a caller's token.
    pub(super) fn token(
        self,
        values: &[String],
        not_values: &[String],
        test: impl Fn(&str) -> Caller,
    ) -> Caller {
        if values.is_empty() && not_values.is_empty() {
            return Caller::Always;
        }
        match self.proven.tokens {
            Proof::Unchecked => self.effect.unproven(),
            Proof::Checked => Caller::of_values(values, not_values, test),
        }
    }
}

/// The condition of one `source`.
pub(super) fn translate(source: &Source, context: Context<'_>) -> Caller {
    let of_domains = !source.trust_domains.is_empty();
    Caller::all([
        context.principals(&source.principals, &source.not_principals),
        context.namespaces(&source.namespaces, &source.not_namespaces, of_domains),
        context.accounts(source),
        context.trust_domains(source),
        context.request_principals(&source.request_principals, &source.not_request_principals),
        Caller::of_values(&source.ip_blocks, &source.not_ip_blocks, address),
        Caller::of_values(&source.remote_ip_blocks, &source.not_remote_ip_blocks, address),
    ])
}

/// The other end of the connection: a header that names another address proves nothing.
pub(super) fn address(range: &str) -> Caller {
    let range = AddressRange::parse(range);
    range.map_or(Caller::Never, |range| Caller::Test(principal(Identifier::DirectRemoteIp(cidr(range)))))
}

pub(super) fn cidr(range: AddressRange) -> CidrRange {
    CidrRange {
        address_prefix: range.address.to_string(),
        prefix_len: Some(UInt32Value { value: range.length.into() }),
    }
}

fn authenticated(name: StringMatcher) -> Caller {
    Caller::Test(principal(Identifier::Authenticated(Authenticated { principal_name: Some(name) })))
}

/// One segment of an identity as a regular expression.
fn segment(text: Text<'_>) -> String {
    let literal = regex::escape(text.literal());
    match text {
        Text::Exact(_) => literal,
        Text::Prefix(_) => format!("{literal}[^/]*"),
        Text::Suffix(_) => format!("[^/]*{literal}"),
        Text::Present => "[^/]+".to_owned(),
    }
}

const SCHEME: &str = "spiffe://";
