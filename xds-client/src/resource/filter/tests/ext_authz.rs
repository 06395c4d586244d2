//! External authorization: what is read, and what is refused.

use std::time::Duration;

use mesh_core::config::Name;
use mesh_core::filter::{ExtAuthzConfig, ExtAuthzOverride, OnFailure};
use mesh_core::policy::matcher::Fraction;
use xds_proto::envoy::config::common::mutation_rules::v3::HeaderMutationRules;
use xds_proto::envoy::config::core::v3::grpc_service::{EnvoyGrpc, GoogleGrpc, TargetSpecifier};
use xds_proto::envoy::config::core::v3::{GrpcService, RuntimeFeatureFlag, RuntimeFractionalPercent};
use xds_proto::envoy::extensions::filters::http::ext_authz::v3::ext_authz::Services;
use xds_proto::envoy::extensions::filters::http::ext_authz::v3::ext_authz_per_route::Override;
use xds_proto::envoy::extensions::filters::http::ext_authz::v3::{
    BufferSettings, CheckSettings, ExtAuthz, ExtAuthzPerRoute, HttpService,
};
use xds_proto::envoy::r#type::matcher::v3::{MetadataMatcher, RegexMatcher};
use xds_proto::envoy::r#type::v3::{FractionalPercent, HttpStatus};
use xds_proto::google::protobuf::BoolValue;

use super::*;
use crate::bootstrap::{AllowedGrpcService, ChannelCredentials};
use crate::resource::testing::{millis, seconds};

fn context(target: &str) -> DecodeContext {
    let insecure = AllowedGrpcService::new(ChannelCredentials::Insecure);
    let allowed_grpc_services = Arc::new([(target.to_owned(), insecure)].into());
    DecodeContext { allowed_grpc_services, ..DecodeContext::default() }
}

fn service(target: &str) -> GrpcService {
    let google = GoogleGrpc { target_uri: target.to_owned() };
    GrpcService { target_specifier: Some(TargetSpecifier::GoogleGrpc(google)), ..GrpcService::default() }
}

fn asking(service: GrpcService) -> ExtAuthz {
    ExtAuthz { services: Some(Services::GrpcService(service)), ..ExtAuthz::default() }
}

fn read(message: ExtAuthz, target: &str, side: Side) -> Result<FilterInstance, Invalid> {
    let context = context(target);
    let filters = [http_filter("authz", pack_any(message)), router("r")];
    super::super::chain(&filters, side, &Decoding::new(&context)).map(|mut chain| chain.remove(0))
}

fn config(message: ExtAuthz, target: &str) -> ExtAuthzConfig {
    let instance = read(message, target, Side::Server).unwrap();
    let config: &dyn ConfigValue = &*instance.config;
    config.downcast_ref::<ExtAuthzConfig>().unwrap().clone()
}

/// Proves: SEC-02.
#[test]
fn only_services_of_the_bootstrap_are_asked() {
    for side in [Side::Client, Side::Server] {
        assert!(read(asking(service("authz:1")), "authz:1", side).is_ok(), "{side:?}");
        let error = read(asking(service("evil:1")), "authz:1", side).unwrap_err();
        assert!(error.field.ends_with("grpc_service.google_grpc.target_uri"), "{error:?}");
    }
}

#[test]
fn defaults_refuse_calls_without_an_answer_and_fields_are_read() {
    let read = config(asking(service("a:1")), "a:1");
    assert_eq!(
        (read.on_failure, read.enabled, read.deny_at_disable),
        (OnFailure::Deny, Fraction::ALL, false)
    );
    assert_eq!((read.timeout, read.status_on_error.as_u16()), (Duration::from_millis(200), 403));

    let half = FractionalPercent { numerator: 50, denominator: 0 };
    let enabled = RuntimeFractionalPercent { default_value: Some(half), ..Default::default() };
    let on = RuntimeFeatureFlag { default_value: Some(BoolValue { value: true }), ..Default::default() };
    let message = ExtAuthz {
        failure_mode_allow: true,
        failure_mode_allow_header_add: true,
        status_on_error: Some(HttpStatus { code: 503 }),
        filter_enabled: Some(enabled),
        deny_at_disable: Some(on),
        ..asking(GrpcService { timeout: seconds(3), ..service("a:1") })
    };
    let read = config(message, "a:1");
    assert_eq!((read.on_failure, read.deny_at_disable), (OnFailure::AllowAndMark, true));
    assert_eq!((read.enabled, read.timeout), (Fraction::per_million(500_000), Duration::from_secs(3)));
    assert_eq!(read.status_on_error.as_u16(), 503);
}

/// What would check less than was meant refuses the listener.
#[test]
fn invalid_and_unsupported_settings_are_refused() {
    let valid = || asking(service("a:1"));
    let envoy = TargetSpecifier::EnvoyGrpc(EnvoyGrpc::default());
    let envoy = GrpcService { target_specifier: Some(envoy), ..GrpcService::default() };
    let wrong = RegexMatcher { regex: "(".to_owned() };
    let rules = HeaderMutationRules { allow_expression: Some(wrong), ..HeaderMutationRules::default() };
    let rows = [
        ("grpc_service", ExtAuthz::default()),
        ("http_service", ExtAuthz { services: Some(Services::HttpService(HttpService {})), ..valid() }),
        ("grpc_service.envoy_grpc", asking(envoy)),
        ("grpc_service", asking(GrpcService::default())),
        ("grpc_service.timeout", asking(GrpcService { timeout: millis(0), ..service("a:1") })),
        ("filter_enabled.default_value", ExtAuthz { filter_enabled: Some(Default::default()), ..valid() }),
        ("deny_at_disable.default_value", ExtAuthz { deny_at_disable: Some(Default::default()), ..valid() }),
        ("status_on_error.code", ExtAuthz { status_on_error: Some(HttpStatus { code: 200 }), ..valid() }),
        ("with_request_body", ExtAuthz { with_request_body: Some(BufferSettings::default()), ..valid() }),
        (
            "filter_enabled_metadata.filter",
            ExtAuthz { filter_enabled_metadata: Some(MetadataMatcher::default()), ..valid() },
        ),
        ("include_peer_certificate", ExtAuthz { include_peer_certificate: true, ..valid() }),
        (
            "decoder_header_mutation_rules.allow_expression.regex",
            ExtAuthz { decoder_header_mutation_rules: Some(rules), ..valid() },
        ),
    ];
    for (field, message) in rows {
        let error = read(message, "a:1", Side::Server).unwrap_err();
        assert_eq!(error.field, format!("http_filters[0].typed_config.{field}"), "{}", error.reason);
    }
}

#[test]
fn routes_switch_the_check_off_or_add_extensions() {
    let entry = |own| one(&pack_any(ExtAuthzPerRoute { r#override: own }), &registry());
    let settings = |settings| Some(Override::CheckSettings(settings));
    let off = entry(Some(Override::Disabled(true))).unwrap();
    assert_eq!(off, Some(FilterOverride::config(ExtAuthzOverride::Disabled)));
    let told = CheckSettings {
        context_extensions: [("k".to_owned(), "v".to_owned())].into(),
        ..CheckSettings::default()
    };
    let expected = ExtAuthzOverride::ContextExtensions([(Name::from("k"), Name::from("v"))].into());
    assert_eq!(entry(settings(told)).unwrap(), Some(FilterOverride::config(expected)));
    let body =
        CheckSettings { with_request_body: Some(BufferSettings::default()), ..CheckSettings::default() };
    for wrong in [None, Some(Override::Disabled(false)), settings(body)] {
        assert!(entry(wrong.clone()).is_err(), "{wrong:?}");
    }
}
