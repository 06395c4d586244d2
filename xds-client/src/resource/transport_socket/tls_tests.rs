//! TLS contexts of both sides: the field that a NACK names.

use mesh_core::certificate::CertificateSource;
use mesh_core::config::{ClientCertificates, RootSource};
use proto::certificate_validation_context::SystemRootCerts;
use proto::common_tls_context::{CombinedCertificateValidationContext, ValidationContextType};
use proto::downstream_tls_context::OcspStaplePolicy;
use proto::{
    CertificateProviderPluginInstance, CertificateValidationContext, CommonTlsContext, DownstreamTlsContext,
    SdsSecretConfig, TlsCertificate, TlsParameters, UpstreamTlsContext,
};
use xds_proto::envoy::config::core::v3::{DataSource, TransportSocket, TypedExtensionConfig};
use xds_proto::envoy::extensions::transport_sockets::http_11_proxy::v3::Http11ProxyUpstreamTransport;
use xds_proto::envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer;
use xds_proto::envoy::extensions::transport_sockets::tls::v3 as proto;
use xds_proto::envoy::r#type::matcher::v3::StringMatcher;

use super::{Side, Upstream, downstream, upstream};
use crate::resource::testing::{bool_value, pack_any, transport_socket, unknown_any};
use crate::resource::{CertificateProviders, DecodeContext, Decoding};

/// A row: its rule and name, the change of a valid message, and field and reason of the refusal; an empty field if
/// the message is valid.
type Row<M> = (&'static str, fn(&mut M), &'static str, &'static str);

fn provider(instance: &str) -> Option<CertificateProviderPluginInstance> {
    Some(CertificateProviderPluginInstance {
        instance_name: instance.into(),
        certificate_name: String::new(),
    })
}

fn validation() -> CertificateValidationContext {
    CertificateValidationContext { ca_certificate_provider_instance: provider("roots"), ..Default::default() }
}

fn plain(validation: CertificateValidationContext) -> Option<ValidationContextType> {
    Some(ValidationContextType::ValidationContext(validation))
}

fn combined(validation: Option<CertificateValidationContext>, sds: bool) -> Option<ValidationContextType> {
    Some(ValidationContextType::CombinedValidationContext(CombinedCertificateValidationContext {
        default_validation_context: validation,
        validation_context_sds_secret_config: sds.then(SdsSecretConfig::default),
        ..Default::default()
    }))
}

fn common() -> CommonTlsContext {
    CommonTlsContext {
        tls_certificate_provider_instance: provider("identity"),
        validation_context_type: plain(validation()),
        ..Default::default()
    }
}

fn change(common: &mut CommonTlsContext) -> &mut CertificateValidationContext {
    match &mut common.validation_context_type {
        Some(ValidationContextType::ValidationContext(validation)) => validation,
        other => panic!("{other:?}"),
    }
}

fn context() -> DecodeContext {
    let names = ["roots", "identity"];
    let certificate_providers = names.iter().fold(CertificateProviders::default(), |providers, name| {
        providers.with(*name, CertificateSource::missing(*name, "a test"))
    });
    DecodeContext { certificate_providers, ..Default::default() }
}

/// Field and reason of the refusal; `None`: it is accepted.
fn refusal(socket: Option<&TransportSocket>, side: Side) -> Option<(String, String)> {
    let context = context();
    let context = Decoding::new(&context);
    let read = match side {
        Side::Client => upstream(socket, &context).map(drop),
        Side::Server => downstream(socket, &context).map(drop),
    };
    read.err().map(|invalid| (invalid.field, invalid.reason))
}

#[track_caller]
fn check(row: &str, socket: Option<&TransportSocket>, side: Side, field: &str, reason: &str) {
    let Some((found, why)) = refusal(socket, side) else {
        assert_eq!(field, "", "{row} is accepted");
        return;
    };
    let expected = format!("transport_socket.typed_config.{field}");
    assert_eq!(found, expected.trim_end_matches(".typed_config."), "{row}: {why}");
    assert!(why.contains(reason), "{row}: {why:?} lacks {reason:?}");
}

#[track_caller]
fn check_upstream(rows: &[Row<UpstreamTlsContext>]) {
    for (row, change, field, reason) in rows {
        let mut tls = UpstreamTlsContext { common_tls_context: Some(common()), ..Default::default() };
        change(&mut tls);
        check(row, transport_socket("tls", pack_any(tls)).as_ref(), Side::Client, field, reason);
    }
}

#[track_caller]
fn check_downstream(rows: &[Row<DownstreamTlsContext>]) {
    for (row, change, field, reason) in rows {
        let mut tls = DownstreamTlsContext { common_tls_context: Some(common()), ..Default::default() };
        change(&mut tls);
        check(row, transport_socket("tls", pack_any(tls)).as_ref(), Side::Server, field, reason);
    }
}

/// Rows for both sides.
const COMMON: &[Row<CommonTlsContext>] = &[
    ("good", |_| {}, "", ""),
    (
        "TLS-05 unknown authority",
        |m| change(m).ca_certificate_provider_instance = provider("other"),
        "common_tls_context.validation_context.ca_certificate_provider_instance.instance_name",
        "\"other\" is not one of the bootstrap's certificate_providers",
    ),
    (
        "TLS-05 no authority",
        |m| change(m).ca_certificate_provider_instance = None,
        "common_tls_context.validation_context.ca_certificate_provider_instance",
        "must be set",
    ),
    (
        "TLS-05 the authority of a combined context",
        |m| m.validation_context_type = combined(Some(CertificateValidationContext::default()), false),
        "common_tls_context.combined_validation_context.default_validation_context.\
         ca_certificate_provider_instance",
        "must be set",
    ),
    (
        "TLS-06 unknown identity",
        |m| m.tls_certificate_provider_instance = provider(""),
        "common_tls_context.tls_certificate_provider_instance.instance_name",
        "\"\" is not one of",
    ),
    (
        "TLS-09 parameters",
        |m| m.tls_params = Some(TlsParameters::default()),
        "common_tls_context.tls_params",
        "is not supported",
    ),
    (
        "TLS-09 handshaker",
        |m| m.custom_handshaker = Some(TypedExtensionConfig::default()),
        "common_tls_context.custom_handshaker",
        "is not supported",
    ),
    (
        "TLS-10 certificates beside an instance",
        |m| {
            m.tls_certificates = vec![TlsCertificate::default()];
            m.tls_certificate_sds_secret_configs = vec![SdsSecretConfig::default()];
        },
        "",
        "",
    ),
    (
        "TLS-10 validation by SDS",
        |m| {
            let sds = SdsSecretConfig::default();
            m.validation_context_type = Some(ValidationContextType::ValidationContextSdsSecretConfig(sds));
        },
        "common_tls_context.validation_context_sds_secret_config",
        "is not supported",
    ),
    (
        "TLS-10 combined with SDS",
        |m| m.validation_context_type = combined(Some(validation()), true),
        "common_tls_context.combined_validation_context.validation_context_sds_secret_config",
        "is not supported",
    ),
    (
        "TLS-11 keys",
        |m| change(m).verify_certificate_spki = vec!["x".into()],
        "common_tls_context.validation_context.verify_certificate_spki",
        "is not supported",
    ),
    (
        "TLS-11 hashes",
        |m| change(m).verify_certificate_hash = vec!["x".into()],
        "common_tls_context.validation_context.verify_certificate_hash",
        "is not supported",
    ),
    (
        "TLS-11 timestamps",
        |m| change(m).require_signed_certificate_timestamp = bool_value(true),
        "common_tls_context.validation_context.require_signed_certificate_timestamp",
        "is not supported",
    ),
    ("TLS-11 no timestamps", |m| change(m).require_signed_certificate_timestamp = bool_value(false), "", ""),
    (
        "TLS-11 revocation",
        |m| change(m).crl = Some(DataSource::default()),
        "common_tls_context.validation_context.crl",
        "is not supported",
    ),
    (
        "TLS-11 validator",
        |m| change(m).custom_validator_config = Some(TypedExtensionConfig::default()),
        "common_tls_context.validation_context.custom_validator_config",
        "is not supported",
    ),
    (
        "TLS-13 these do not matter",
        |m| {
            m.alpn_protocols = vec!["x".into()];
            change(m).trusted_ca = Some(DataSource::default());
            change(m).allow_expired_certificate = true;
            change(m).trust_chain_verification = 1;
        },
        "",
        "",
    ),
];

const CLIENT: &[Row<UpstreamTlsContext>] = &[
    ("TLS-03 nothing", |m| m.common_tls_context = None, "common_tls_context", "must be set"),
    (
        "TLS-04 no validation",
        |m| m.common_tls_context.as_mut().unwrap().validation_context_type = None,
        "common_tls_context",
        "expected validation_context or combined_validation_context",
    ),
    (
        "TLS-04 an empty combined context",
        |m| m.common_tls_context.as_mut().unwrap().validation_context_type = combined(None, false),
        "common_tls_context",
        "expected validation_context or combined_validation_context",
    ),
    (
        "TLS-04 a combined context",
        |m| {
            m.common_tls_context.as_mut().unwrap().validation_context_type =
                combined(Some(validation()), false);
        },
        "",
        "",
    ),
    (
        "TLS-06 no identity",
        |m| m.common_tls_context.as_mut().unwrap().tls_certificate_provider_instance = None,
        "",
        "",
    ),
    (
        "TLS-07 system roots",
        |m| {
            let validation = change(m.common_tls_context.as_mut().unwrap());
            validation.ca_certificate_provider_instance = None;
            validation.system_root_certs = Some(SystemRootCerts {});
        },
        "",
        "",
    ),
    (
        "TLS-10 certificates",
        |m| {
            let common = m.common_tls_context.as_mut().unwrap();
            common.tls_certificate_provider_instance = None;
            common.tls_certificates = vec![TlsCertificate::default()];
        },
        "common_tls_context.tls_certificates",
        "is not supported",
    ),
    (
        "TLS-10 certificates by SDS",
        |m| {
            let common = m.common_tls_context.as_mut().unwrap();
            common.tls_certificate_provider_instance = None;
            common.tls_certificate_sds_secret_configs = vec![SdsSecretConfig::default()];
        },
        "common_tls_context.tls_certificate_sds_secret_configs",
        "is not supported",
    ),
    (
        "RV-06 a matcher of nothing",
        |m| names(m.common_tls_context.as_mut().unwrap()),
        "common_tls_context.validation_context.match_subject_alt_names[0]",
        "",
    ),
    ("TLS-22 as long as it may be", |m| m.sni = "x".repeat(255), "", ""),
    ("TLS-22 too long", |m| m.sni = "x".repeat(256), "sni", "at most 255 bytes, found 256"),
];

#[expect(deprecated, reason = "the field that gRPC reads")]
fn names(common: &mut CommonTlsContext) {
    change(common).match_subject_alt_names = vec![StringMatcher::default()];
}

const SERVER: &[Row<DownstreamTlsContext>] = &[
    ("TLS-03 nothing", |m| m.common_tls_context = None, "common_tls_context", "must be set"),
    (
        "TLS-06 no identity",
        |m| m.common_tls_context.as_mut().unwrap().tls_certificate_provider_instance = None,
        "common_tls_context.tls_certificate_provider_instance",
        "must be set",
    ),
    (
        "TLS-07 system roots",
        |m| {
            let validation = change(m.common_tls_context.as_mut().unwrap());
            validation.ca_certificate_provider_instance = None;
            validation.system_root_certs = Some(SystemRootCerts {});
        },
        "common_tls_context.validation_context.ca_certificate_provider_instance",
        "must be set",
    ),
    ("TLS-12 server names", |m| m.require_sni = bool_value(true), "require_sni", "must be false"),
    ("TLS-12 no server names", |m| m.require_sni = bool_value(false), "", ""),
    (
        "TLS-12 stapling",
        |m| m.ocsp_staple_policy = OcspStaplePolicy::MustStaple as i32,
        "ocsp_staple_policy",
        "must be LENIENT_STAPLING",
    ),
    (
        "TLS-12 a certificate that is not checked",
        |m| {
            m.require_client_certificate = bool_value(true);
            m.common_tls_context.as_mut().unwrap().validation_context_type = None;
        },
        "require_client_certificate",
        "needs a validation context",
    ),
    ("TLS-12 a certificate", |m| m.require_client_certificate = bool_value(true), "", ""),
    (
        "TLS-12 names",
        |m| names(m.common_tls_context.as_mut().unwrap()),
        "common_tls_context.validation_context.match_subject_alt_names",
        "is not supported",
    ),
    (
        "TLS-14 no validation",
        |m| m.common_tls_context.as_mut().unwrap().validation_context_type = None,
        "",
        "",
    ),
];

/// Proves: TLS-03, TLS-04, TLS-05, TLS-06, TLS-09, TLS-10, TLS-11, TLS-12, TLS-13, RV-54.
#[test]
fn refusals_name_what_is_wrong() {
    for (row, change, field, reason) in COMMON {
        let mut common = common();
        change(&mut common);
        let common_tls_context = Some(common);
        let client = UpstreamTlsContext { common_tls_context, ..Default::default() };
        let server = DownstreamTlsContext {
            common_tls_context: client.common_tls_context.clone(),
            ..Default::default()
        };
        check(row, transport_socket("tls", pack_any(client)).as_ref(), Side::Client, field, reason);
        check(row, transport_socket("tls", pack_any(server)).as_ref(), Side::Server, field, reason);
    }
    check_upstream(CLIENT);
    check_downstream(SERVER);
    // TLS-03
    let (field, reason) =
        refusal(transport_socket("ssl", pack_any(UpstreamTlsContext::default())).as_ref(), Side::Client)
            .unwrap();
    assert_eq!(field, "transport_socket");
    assert!(reason.starts_with("unrecognised transport socket \"envoy.transport_sockets.ssl\""), "{reason}");
}

/// Proves: CDS-20.
#[test]
fn proxies_carry_plaintext_or_tls() {
    let tls = UpstreamTlsContext { common_tls_context: Some(common()), ..Default::default() };
    let rows = [
        (
            "bad TLS",
            transport_socket("tls", pack_any(UpstreamTlsContext::default())),
            "transport_socket.typed_config.common_tls_context",
            "must be set",
        ),
        (
            "raw buffer",
            transport_socket("raw_buffer", pack_any(RawBuffer {})),
            "transport_socket",
            "unrecognised",
        ),
        ("unknown", transport_socket("tls", unknown_any()), "transport_socket", "unrecognised"),
        ("no type", Some(TransportSocket::default()), "transport_socket.typed_config", "must be set"),
        (
            "a proxy",
            transport_socket("http_11_proxy", pack_any(Http11ProxyUpstreamTransport::default())),
            "transport_socket",
            "unrecognised",
        ),
    ];
    for (row, inner, field, reason) in rows {
        let proxy = Http11ProxyUpstreamTransport { transport_socket: inner, ..Default::default() };
        check(row, transport_socket("http_11_proxy", pack_any(proxy)).as_ref(), Side::Client, field, reason);
    }
    let context = context();
    let read = |inner: Option<TransportSocket>, context: &DecodeContext| {
        let proxy = Http11ProxyUpstreamTransport { transport_socket: inner, ..Default::default() };
        let socket = transport_socket("http_11_proxy", pack_any(proxy));
        upstream(socket.as_ref(), &Decoding::new(context))
    };
    assert_eq!(read(None, &context).unwrap(), Upstream { tls: None, through_proxies: true });
    let secured = read(transport_socket("tls", pack_any(tls.clone())), &context).unwrap();
    let direct = upstream(transport_socket("tls", pack_any(tls)).as_ref(), &Decoding::new(&context)).unwrap();
    assert_eq!(secured, Upstream { through_proxies: true, ..direct.clone() });
    assert!(direct.tls.is_some() && !direct.through_proxies);
    let mut off = context;
    off.guards.http_connect = false;
    assert!(read(None, &off).unwrap_err().reason.contains("unrecognised"));
}

/// What a valid context of each side becomes.
#[test]
fn contexts_say_what_is_shown_and_trusted() {
    let context = context();
    let decoding = Decoding::new(&context);
    let [roots, identity] =
        ["roots", "identity"].map(|name| context.certificate_providers.find(name).cloned());
    let client = UpstreamTlsContext {
        common_tls_context: Some(common()),
        sni: "b.example".into(),
        auto_host_sni: true,
        auto_sni_san_validation: true,
    };
    let socket = transport_socket("tls", pack_any(client));
    let client = upstream(socket.as_ref(), &decoding).unwrap().tls.unwrap();
    assert_eq!(client.identity, identity);
    assert_eq!(client.validation.roots, RootSource::Provider(roots.clone().unwrap()));
    assert!(client.sni.from_hostname && client.sni.is_validated);
    assert_eq!(client.sni.name.as_deref(), Some("b.example"));

    for (require, expected) in
        [(None, "optional"), (bool_value(false), "optional"), (bool_value(true), "required")]
    {
        let server = DownstreamTlsContext {
            common_tls_context: Some(common()),
            require_client_certificate: require,
            ..Default::default()
        };
        let socket = transport_socket("tls", pack_any(server));
        let server = downstream(socket.as_ref(), &decoding).unwrap().unwrap();
        assert_eq!(Some(&server.identity), identity.as_ref());
        let (found, validation) = match &server.clients {
            ClientCertificates::Optional(validation) => ("optional", validation),
            ClientCertificates::Required(validation) => ("required", validation),
            other => panic!("{other:?}"),
        };
        assert_eq!((found, &validation.roots), (expected, &RootSource::Provider(roots.clone().unwrap())));
    }
    let plain = transport_socket("raw_buffer", pack_any(RawBuffer {}));
    for socket in [None, plain.as_ref()] {
        assert_eq!(upstream(socket, &decoding).unwrap(), Upstream::default());
        assert_eq!(downstream(socket, &decoding).unwrap(), None);
    }
}
