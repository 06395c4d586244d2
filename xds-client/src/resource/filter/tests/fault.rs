//! Fault injection.

use std::time::Duration;

use mesh_core::filter::{
    Abort, AbortSource, AbortStatus, Delay, DelaySource, FaultPolicy, MaxActiveFaults, Percentage,
};
use xds_proto::envoy::extensions::filters::common::fault::v3::fault_delay::{
    FaultDelaySecifier, HeaderDelay,
};
use xds_proto::envoy::extensions::filters::common::fault::v3::{FaultDelay, FaultRateLimit};
use xds_proto::envoy::extensions::filters::http::fault::v3::fault_abort::{ErrorType, HeaderAbort};
use xds_proto::envoy::extensions::filters::http::fault::v3::{FaultAbort, HttpFault};
use xds_proto::envoy::r#type::v3::FractionalPercent;

use super::*;
use crate::resource::testing::{millis, seconds, u32_value};

fn percent(numerator: u32, denominator: i32) -> Option<FractionalPercent> {
    Some(FractionalPercent { numerator, denominator })
}

fn read(fault: &HttpFault) -> Result<FaultPolicy, Invalid> {
    let FilterOverride::Config(config) = one(&pack_any(fault.clone()), &registry())?.unwrap() else {
        panic!("it is a configuration")
    };
    let instance =
        chain(&[http_filter("f", pack_any(fault.clone())), router("r")], Side::Client, &registry())?;
    let policy: &FaultPolicy = config.downcast_ref().unwrap();
    assert_eq!(instance, [FilterInstance::new("f", policy.clone())], "the override has the same form");
    Ok(policy.clone())
}

fn delayed(source: Option<FaultDelaySecifier>, percentage: Option<FractionalPercent>) -> HttpFault {
    let delay = FaultDelay { percentage, fault_delay_secifier: source };
    HttpFault { delay: Some(delay), ..HttpFault::default() }
}

fn aborted(error_type: ErrorType, percentage: Option<FractionalPercent>) -> HttpFault {
    let abort = FaultAbort { percentage, error_type: Some(error_type), ..FaultAbort::default() };
    HttpFault { abort: Some(abort), ..HttpFault::default() }
}

fn fixed() -> Option<FaultDelaySecifier> {
    Some(FaultDelaySecifier::FixedDelay(millis(50).unwrap()))
}

/// Proves: HF-10, HF-13.
#[test]
fn delay_abort_and_limit_are_read() {
    let delay = |source, percentage| FaultPolicy::new().with_delay(Delay { source, percentage });
    let abort = |source, percentage| FaultPolicy::new().with_abort(Abort { source, percentage });
    let status = |status| AbortSource::Status(AbortStatus::http(status).unwrap());
    let fifty = DelaySource::Fixed(Duration::from_millis(50));
    let rows = [
        ("nothing", HttpFault::default(), FaultPolicy::default()),
        ("a delay", delayed(fixed(), percent(5, 0)), delay(fifty, Percentage::of_hundred(5))),
        ("no percentage", delayed(fixed(), None), delay(fifty, Percentage::default())),
        (
            "by headers",
            delayed(Some(FaultDelaySecifier::HeaderDelay(HeaderDelay {})), percent(5, 2)),
            delay(DelaySource::Headers, Percentage::of_million(5)),
        ),
        ("no time", delayed(None, percent(5, 0)), FaultPolicy::default()),
        (
            "an HTTP status",
            aborted(ErrorType::HttpStatus(503), percent(1, 1)),
            abort(status(503), Percentage::of_ten_thousand(1)),
        ),
        (
            "status 200",
            aborted(ErrorType::HttpStatus(200), percent(1, 0)),
            abort(status(200), Percentage::of_hundred(1)),
        ),
        ("status 199", aborted(ErrorType::HttpStatus(199), percent(100, 0)), FaultPolicy::default()),
        ("status 600", aborted(ErrorType::HttpStatus(600), percent(100, 0)), FaultPolicy::default()),
        (
            "a gRPC code",
            aborted(ErrorType::GrpcStatus(17), percent(100, 0)),
            abort(AbortSource::Status(AbortStatus::Grpc(17)), Percentage::ALL),
        ),
        (
            "abort by headers",
            aborted(ErrorType::HeaderAbort(HeaderAbort {}), percent(100, 0)),
            abort(AbortSource::Headers, Percentage::ALL),
        ),
        (
            "a limit, and fields that gRPC does not look at",
            HttpFault {
                max_active_faults: u32_value(0),
                upstream_cluster: "other".into(),
                downstream_nodes: vec!["n".into()],
                response_rate_limit: Some(FaultRateLimit::default()),
                ..HttpFault::default()
            },
            FaultPolicy::new().with_max_active_faults(MaxActiveFaults(0)),
        ),
    ];
    for (row, fault, expected) in rows {
        assert_eq!(read(&fault).unwrap(), expected, "{row}");
    }
}

#[test]
fn invalid_faults_are_refused_with_their_field() {
    let negative = Some(FaultDelaySecifier::FixedDelay(seconds(-1).unwrap()));
    let rows = [
        ("a bad denominator", delayed(fixed(), percent(1, 9)), "delay.percentage.denominator"),
        (
            "and of the abort",
            aborted(ErrorType::GrpcStatus(1), percent(1, 9)),
            "abort.percentage.denominator",
        ),
        ("a negative delay", delayed(negative, percent(1, 0)), "delay.fixed_delay"),
    ];
    for (row, fault, field) in rows {
        assert_eq!(read(&fault).unwrap_err().field, field, "{row}");
    }
    let broken = one(&broken_any::<HttpFault>(), &registry()).unwrap_err();
    assert!(broken.reason.contains("HTTPFault: "), "{broken:?}");
}
