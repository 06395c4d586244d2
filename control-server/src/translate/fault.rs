//! Faults (gRFC A33).

use xds_proto::envoy::extensions::filters::common::fault::v3 as common;
use xds_proto::envoy::extensions::filters::common::fault::v3::fault_delay::FaultDelaySecifier as DelayKind;
use xds_proto::envoy::extensions::filters::http::fault::v3 as proto;
use xds_proto::envoy::extensions::filters::http::fault::v3::fault_abort::ErrorType;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_filter::ConfigType;
use xds_proto::envoy::r#type::v3::FractionalPercent;
use xds_proto::envoy::r#type::v3::fractional_percent::DenominatorType;
use xds_proto::google::protobuf::Any;
use xds_proto::pack_any;

use super::route::duration;
use crate::kinds::virtual_service::{AbortStatus, Fault, FaultAbort, FaultDelay};

/// The filter of a listener, which injects only the faults of routes. Not optional: every client with routing of
/// its own supports it, and a client without support must report that.
pub(super) fn filter() -> HttpFilter {
    HttpFilter {
        name: NAME.to_owned(),
        config_type: Some(ConfigType::TypedConfig(pack_any(proto::HttpFault::default()))),
        ..HttpFilter::default()
    }
}

/// The entry of a route's `typed_per_filter_config`.
pub(super) fn of_route(fault: &Fault) -> (String, Any) {
    let message = proto::HttpFault {
        delay: fault.delay.as_ref().map(delay),
        abort: fault.abort.as_ref().map(abort),
        ..proto::HttpFault::default()
    };
    (NAME.to_owned(), pack_any(message))
}

/// The same for a share of calls that all end with a status of HTTP.
pub(super) fn of_share(status: u32) -> (String, Any) {
    let abort = FaultAbort { status: AbortStatus::Http(status), share: 1_000_000 };
    of_route(&Fault { delay: None, abort: Some(abort) })
}

fn delay(delay: &FaultDelay) -> common::FaultDelay {
    common::FaultDelay {
        percentage: Some(percentage(delay.share)),
        fault_delay_secifier: Some(DelayKind::FixedDelay(duration(delay.duration))),
    }
}

fn abort(abort: &FaultAbort) -> proto::FaultAbort {
    let error_type = match abort.status {
        AbortStatus::Http(status) => ErrorType::HttpStatus(status),
        AbortStatus::Grpc(code) => ErrorType::GrpcStatus(code),
    };
    proto::FaultAbort {
        percentage: Some(percentage(abort.share)),
        error_type: Some(error_type),
        ..proto::FaultAbort::default()
    }
}

fn percentage(of_a_million: u32) -> FractionalPercent {
    FractionalPercent { numerator: of_a_million, denominator: DenominatorType::Million.into() }
}

/// The name that routes override the filter by.
const NAME: &str = "envoy.filters.http.fault";
