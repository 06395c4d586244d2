//! What is fuzzed: from any bytes to a verdict, without a panic. `fuzz/` runs it on what it makes up, the test beside it
//! on what is kept in `fuzz/corpus`.

use bytes::Bytes;
use mesh_core::certificate::{
    CertificateSource, RevocationList, RevocationLists, SpiffeBundles, UnknownRevocation,
};
use mesh_core::filter::{ConfigValue, RbacConfig};
use mesh_core::peer::{Peer, PeerIdentity, TlsPeer};
use mesh_core::policy::identity::{SpiffeId, TrustDomain};
use mesh_core::policy::jwt::KeySet;
use mesh_core::policy::rbac::{RbacAction, RbacEngine, RbacRequest, RbacRules};
use mesh_core::testing;
use prost::Message;
use xds_client::bootstrap::{Bootstrap, parse_target};
use xds_client::resource::{
    CertificateProviders, ClusterType, DecodeContext, DecodeError, EndpointCollectionType, EndpointsType,
    ExtensionPayload, HttpFilterType, LbEndpointType, ListenerType, RbacFilter, ResourceType,
    RouteConfigurationType, Unwrapped, decode, decode_wrapped,
};
use xds_client::testing::{authority, canonical};
use xds_proto::envoy::service::discovery::v3::{DeltaDiscoveryResponse, DiscoveryResponse};

/// The verdict on the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted,
    Refused,
}

/// A target by its name, which is also that of its folder in the corpus and of its file in `fuzz_targets`.
type Target = (&'static str, fn(&[u8]) -> Verdict);

/// All of them.
pub(crate) const TARGETS: [Target; 17] = [
    ("listener", |data| resource(&ListenerType, data)),
    ("route", |data| resource(&RouteConfigurationType, data)),
    ("cluster", |data| resource(&ClusterType, data)),
    ("endpoints", |data| resource(&EndpointsType, data)),
    ("endpoint_collection", |data| resource(&EndpointCollectionType, data)),
    ("lb_endpoint", |data| resource(&LbEndpointType, data)),
    ("ads_sotw", ads_sotw),
    ("ads_delta", ads_delta),
    ("bootstrap", bootstrap),
    ("name", name),
    ("first_bytes", first_bytes),
    ("rbac", rbac),
    ("jwt", jwt),
    ("jwks", jwks),
    ("spiffe_id", spiffe_id),
    ("revocation_list", revocation_list),
    ("trust_bundles", trust_bundles),
];

/// Runs the target of this name.
pub(crate) fn run(target: &str, data: &[u8]) -> Verdict {
    let (_, run) = TARGETS.iter().find(|(name, _)| *name == target).expect("the target is in the table");
    run(data)
}

const TYPES: [&dyn ResourceType; 6] = [
    &ListenerType,
    &RouteConfigurationType,
    &ClusterType,
    &EndpointsType,
    &EndpointCollectionType,
    &LbEndpointType,
];

/// A context in which everything is allowed.
fn context() -> DecodeContext {
    let mut context = DecodeContext::default();
    context.trusted_server = true;
    context.certificate_providers =
        ["roots", "identity"].into_iter().fold(CertificateProviders::default(), |all, name| {
            all.with(name, CertificateSource::missing(name, "nothing connects"))
        });
    context.incremental = true;
    context
}

/// The message of one resource, around the guard that would turn a panic into a refusal.
fn resource(resource_type: &dyn ResourceType, data: &[u8]) -> Verdict {
    let bytes = Bytes::copy_from_slice(data);
    let peeked = resource_type.peek_name(&bytes);
    let own = resource_type.decode(&context(), None, &bytes);
    if let Ok((name, _)) = &own {
        assert_eq!(peeked.as_ref(), Some(name), "what decodes has the name that can be seen from outside");
    }
    let given = peeked.unwrap_or_else(|| "x".into());
    let found = resource_type.decode(&context(), Some(&given), &bytes);
    assert!(own.is_err() || found.is_ok(), "its own name from outside makes no difference");
    verdict(&found)
}

fn ads_sotw(data: &[u8]) -> Verdict {
    let Ok(response) = DiscoveryResponse::decode(data) else { return Verdict::Refused };
    let Some(resource_type) = known(&response.type_url) else { return Verdict::Refused };
    let decode = |any| decode(resource_type, &context(), any);
    all(response.resources.into_iter().map(decode))
}

fn ads_delta(data: &[u8]) -> Verdict {
    let Ok(response) = DeltaDiscoveryResponse::decode(data) else { return Verdict::Refused };
    for removed in &response.removed_resources {
        spelled_once(removed);
    }
    let Some(resource_type) = known(&response.type_url) else { return Verdict::Refused };
    let decode = |wrapper| decode_wrapped(resource_type, &context(), wrapper);
    all(response.resources.into_iter().map(decode))
}

fn known(type_url: &str) -> Option<&'static dyn ResourceType> {
    TYPES.into_iter().find(|known| known.type_url() == type_url)
}

fn all(resources: impl Iterator<Item = Result<Unwrapped, DecodeError>>) -> Verdict {
    let verdicts = resources.map(|resource| {
        if let Ok(Unwrapped::Resource(decoded)) = &resource {
            spelled_once(&decoded.name);
        }
        verdict(&resource)
    });
    // All are looked at, also after one that is refused.
    verdicts.fold(Verdict::Accepted, |so_far, next| match next {
        Verdict::Accepted => so_far,
        Verdict::Refused => Verdict::Refused,
    })
}

fn verdict<T>(result: &Result<T, DecodeError>) -> Verdict {
    match result {
        Ok(_) => Verdict::Accepted,
        Err(error) => {
            // A text of the input's own, which errors quote, stands further back.
            let panicked = error.field.is_empty() && error.reason.starts_with("the decoder panicked");
            assert!(!panicked, "{error}");
            Verdict::Refused
        }
    }
}

fn bootstrap(data: &[u8]) -> Verdict {
    let Ok(json) = str::from_utf8(data) else { return Verdict::Refused };
    match Bootstrap::from_json(json) {
        Ok(bootstrap) => {
            for target in ["xds:///greeter", "xds://authority/a b/c"] {
                if let Ok(target) = bootstrap.target(target) {
                    let _ = bootstrap.listener_name(&target);
                }
            }
            let _ = bootstrap.server_listener_name(([127, 0, 0, 1], 80).into());
            Verdict::Accepted
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            Verdict::Refused
        }
    }
}

/// Accepted: an `xdstp:` name, which has an authority; refused: an opaque one.
fn name(data: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(data);
    let _ = parse_target(&text);
    spelled_once(&text);
    match authority(&text) {
        Some(_) => Verdict::Accepted,
        None => Verdict::Refused,
    }
}

/// A name's one spelling is its own, and has the same authority.
fn spelled_once(name: &str) {
    let once = canonical(&name.into());
    assert_eq!(canonical(&once), once, "{name:?}");
    assert_eq!(authority(&once), authority(name), "{name:?}");
}

/// Accepted: a server takes the client for one of TLS or HTTP/2. A few bytes decide, and more of them change nothing.
fn first_bytes(data: &[u8]) -> Verdict {
    let decided =
        (0..=data.len()).find_map(|end| testing::first_bytes(&data[..end]).map(|known| (end, known)));
    let Some((end, is_known)) = decided else {
        assert!(data.len() < 24, "the preface of HTTP/2 is the longest that has to be read");
        return Verdict::Refused;
    };
    for longer in end..=data.len() {
        assert_eq!(testing::first_bytes(&data[..longer]), Some(is_known), "{longer}");
    }
    if is_known { Verdict::Accepted } else { Verdict::Refused }
}

/// A SPIFFE id: what is accepted is spelled in one way, and its parts make it.
// P1
fn spiffe_id(data: &[u8]) -> Verdict {
    let Some(id) = std::str::from_utf8(data).ok().and_then(|text| SpiffeId::parse(text).ok()) else {
        return Verdict::Refused;
    };
    assert_eq!(SpiffeId::parse(id.as_str()).as_ref(), Ok(&id));
    assert_eq!(format!("spiffe://{}{}", id.trust_domain(), id.path()), id.as_str());
    assert!(id.as_str().is_ascii() && id.as_str().len() == data.len());
    let domain = TrustDomain::parse(id.trust_domain()).expect("a part of an id");
    assert_eq!(domain.as_str(), id.trust_domain());
    Verdict::Accepted
}

/// Revocation lists in DER or PEM.
// V2
fn revocation_list(data: &[u8]) -> Verdict {
    match RevocationList::read(data) {
        Ok(lists) => {
            assert!(!lists.is_empty());
            drop(RevocationLists::new(lists, UnknownRevocation::Refuse));
            Verdict::Accepted
        }
        Err(_) => Verdict::Refused,
    }
}

/// A map of SPIFFE trust bundles in JSON.
// P5, TLS-21
fn trust_bundles(data: &[u8]) -> Verdict {
    match SpiffeBundles::from_json(data) {
        Ok(_) => Verdict::Accepted,
        Err(_) => Verdict::Refused,
    }
}

/// An RBAC filter: what is accepted decides calls, and all policies together decide as one after the other does.
fn rbac(data: &[u8]) -> Verdict {
    let Ok(config) = RbacFilter::default().decode(&ExtensionPayload::of_message(data)) else {
        return Verdict::Refused;
    };
    let config: &dyn ConfigValue = &*config;
    let config = config.downcast_ref::<RbacConfig>().expect("the filter makes this type");
    for rules in [&config.rules, &config.shadow_rules].into_iter().flatten() {
        decide(rules);
    }
    Verdict::Accepted
}

fn decide(rules: &RbacRules) {
    let engine = RbacEngine::new(rules);
    let single = |policy| RbacEngine::new(&RbacRules::new(RbacAction::Allow, [policy]));
    let singles: Vec<_> = rules.policies.iter().cloned().map(single).collect();
    let address = ([10, 0, 0, 1], 80).into();
    let identity = PeerIdentity::new().with_uri_san("spiffe://td/ns/a/sa/b").with_subject("CN=a");
    let plain = Peer::new(address, address);
    let tls = plain.clone().with_tls(TlsPeer::new().with_identity(identity));
    for uri in ["http://svc.example:80/pkg.Svc/Get", "/"] {
        let (head, ()) = http::Request::post(uri).body(()).expect("the URI is valid").into_parts();
        for peer in [&plain, &tls] {
            let request = RbacRequest::new(&head, peer);
            let alone = singles.iter().position(|engine| engine.decide(&request).allowed);
            let expected = alone.map(|position| &rules.policies[position].name);
            assert_eq!(engine.decide(&request).policy, expected, "{rules:?}");
        }
    }
}

/// A token, up to its signature.
fn jwt(data: &[u8]) -> Verdict {
    let is_token = std::str::from_utf8(data).is_ok_and(testing::is_token);
    if is_token { Verdict::Accepted } else { Verdict::Refused }
}

/// The keys of an issuer.
fn jwks(data: &[u8]) -> Verdict {
    match KeySet::parse(data) {
        Ok(_) => Verdict::Accepted,
        Err(_) => Verdict::Refused,
    }
}
