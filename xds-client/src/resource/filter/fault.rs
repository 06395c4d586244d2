//! Fault injection (gRFC A33).

use std::sync::Arc;

use mesh_core::filter::{
    Abort, AbortSource, AbortStatus, ConfigValue, Delay, DelaySource, FaultPolicy, FilterConfig,
    MaxActiveFaults, Percentage,
};
use xds_proto::envoy::extensions::filters::common::fault::v3::FaultDelay;
use xds_proto::envoy::extensions::filters::common::fault::v3::fault_delay::FaultDelaySecifier;
use xds_proto::envoy::extensions::filters::http::fault::v3::fault_abort::ErrorType;
use xds_proto::envoy::extensions::filters::http::fault::v3::{FaultAbort, HttpFault};
use xds_proto::envoy::r#type::v3::FractionalPercent;
use xds_proto::envoy::r#type::v3::fractional_percent::DenominatorType;

use crate::resource::fields::{denominator, duration};
use crate::resource::invalid::{Checked, Within};

use super::HttpFilterType;
use crate::resource::{ExtensionError, ExtensionPayload};

/// `envoy.extensions.filters.http.fault.v3.HTTPFault`: its own override, too.
#[derive(Debug)]
pub(super) struct FaultType;

const TYPE: &str = "envoy.extensions.filters.http.fault.v3.HTTPFault";

impl HttpFilterType for FaultType {
    fn type_name(&self) -> &str {
        TYPE
    }

    fn decode(&self, payload: &ExtensionPayload<'_>) -> Result<Arc<dyn FilterConfig>, ExtensionError> {
        Ok(Arc::new(read(&payload.decode()?)?))
    }

    // HF-10
    fn override_type_name(&self) -> Option<&str> {
        Some(TYPE)
    }

    fn decode_override(
        &self,
        payload: &ExtensionPayload<'_>,
    ) -> Result<Arc<dyn ConfigValue>, ExtensionError> {
        Ok(Arc::new(read(&payload.decode()?)?))
    }
}

/// HF-10: other fields are not looked at, as in gRPC.
fn read(fault: &HttpFault) -> Checked<FaultPolicy> {
    let mut policy = FaultPolicy::new();
    policy.delay = fault.delay.as_ref().map(delay).transpose().within("delay")?.flatten();
    policy.abort = fault.abort.as_ref().map(abort).transpose().within("abort")?.flatten();
    policy.max_active_faults = fault.max_active_faults.map(|limit| MaxActiveFaults(limit.value));
    Ok(policy)
}

/// `None`: no duration is configured.
fn delay(delay: &FaultDelay) -> Checked<Option<Delay>> {
    let percentage = percentage(delay.percentage.as_ref())?;
    let source = match &delay.fault_delay_secifier {
        Some(FaultDelaySecifier::FixedDelay(fixed)) => {
            DelaySource::Fixed(duration(fixed).within("fixed_delay")?)
        }
        Some(FaultDelaySecifier::HeaderDelay(_)) => DelaySource::Headers,
        None => return Ok(None),
    };
    Ok(Some(Delay { source, percentage }))
}

/// `None`: no status is configured, or an invalid one (HF-13).
fn abort(abort: &FaultAbort) -> Checked<Option<Abort>> {
    let percentage = percentage(abort.percentage.as_ref())?;
    let source = match &abort.error_type {
        Some(ErrorType::HttpStatus(status)) => AbortStatus::http(*status).map(AbortSource::Status),
        Some(ErrorType::GrpcStatus(code)) => Some(AbortSource::Status(AbortStatus::Grpc(*code))),
        Some(ErrorType::HeaderAbort(_)) => Some(AbortSource::Headers),
        None => None,
    };
    Ok(source.map(|source| Abort { source, percentage }))
}

/// HF-11: none is 0 %.
fn percentage(percent: Option<&FractionalPercent>) -> Checked<Percentage> {
    let Some(percent) = percent else { return Ok(Percentage::default()) };
    let make = match denominator(percent).within("percentage")? {
        DenominatorType::Hundred => Percentage::of_hundred,
        DenominatorType::TenThousand => Percentage::of_ten_thousand,
        DenominatorType::Million => Percentage::of_million,
    };
    Ok(make(percent.numerator))
}
