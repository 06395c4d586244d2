//! Policies that choose an endpoint by its weight: round robin, least request, and slow start for both (gRFC A48, A58, A100).

use std::time::Duration;

use mesh_core::config::{
    LbPolicy, PeakEwma, ReportedWeights, SlowStart, WeightSource, WeightedLeastRequest, WeightedRoundRobin,
};
use xds_proto::envoy::config::cluster::v3::cluster as old;
use xds_proto::envoy::config::core::v3::RuntimeDouble;
use xds_proto::envoy::extensions::load_balancing_policies as policies;
use xds_proto::envoy::extensions::load_balancing_policies::client_side_weighted_round_robin::v3::ClientSideWeightedRoundRobin;
use xds_proto::envoy::r#type::v3::Percent;
use xds_proto::google::protobuf::{Duration as ProtoDuration, Struct};

use crate::resource::extension::{flag, float, section, span, strings_of};
use crate::resource::fields::optional_duration;
use crate::resource::invalid::{Checked, Invalid, Within};

pub(super) fn old_round_robin(config: &old::RoundRobinLbConfig) -> Checked<LbPolicy> {
    let slow_start = config.slow_start_config.as_ref();
    growing_round_robin(slow_start.map(|config| {
        slow_start_of(config.slow_start_window.as_ref(), &config.aggression, &config.min_weight_percent)
    }))
}

pub(super) fn round_robin(config: &policies::round_robin::v3::RoundRobin) -> Checked<LbPolicy> {
    growing_round_robin(config.slow_start_config.as_ref().map(common_slow_start))
}

/// LB-52: endpoint weights count for Envoy's round robin, and not for gRPC's.
fn growing_round_robin(slow_start: Option<Checked<SlowStart>>) -> Checked<LbPolicy> {
    let Some(slow_start) = slow_start else { return Ok(LbPolicy::RoundRobin) };
    let slow_start = slow_start.within("slow_start_config")?;
    let policy = WeightedRoundRobin::new(WeightSource::Configured).with_slow_start(slow_start);
    Ok(LbPolicy::WeightedRoundRobin(policy))
}

// CDS-09
pub(super) fn least_request(choice_count: Option<u64>) -> Checked<LbPolicy> {
    Ok(LbPolicy::LeastRequest { choice_count: bounded(choice_count)? })
}

pub(super) fn old_least_request(config: &old::LeastRequestLbConfig) -> Checked<LbPolicy> {
    let slow_start = config.slow_start_config.as_ref();
    let slow_start = slow_start.map(|config| {
        slow_start_of(config.slow_start_window.as_ref(), &config.aggression, &config.min_weight_percent)
    });
    let count = config.choice_count.map(|count| count.value.into());
    growing_least_request(count, config.active_request_bias.as_ref(), slow_start)
}

pub(super) fn least_request_message(config: &policies::least_request::v3::LeastRequest) -> Checked<LbPolicy> {
    let count = config.choice_count.map(|count| count.value.into());
    let slow_start = config.slow_start_config.as_ref().map(common_slow_start);
    growing_least_request(count, config.active_request_bias.as_ref(), slow_start)
}

/// LB-33: endpoint weights count for Envoy's least request, and not for gRPC's.
fn growing_least_request(
    choice_count: Option<u64>,
    bias: Option<&RuntimeDouble>,
    slow_start: Option<Checked<SlowStart>>,
) -> Checked<LbPolicy> {
    if bias.is_none() && slow_start.is_none() {
        return least_request(choice_count);
    }
    let mut policy = WeightedLeastRequest::default();
    policy.choice_count = bounded(choice_count)?;
    policy.bias = bias.map_or(policy.bias, |bias| bias.default_value);
    if !(policy.bias.is_finite() && policy.bias >= 0.0) {
        return Err(Invalid::at(
            "active_request_bias",
            format!("must not be negative, found {}", policy.bias),
        ));
    }
    policy.slow_start = slow_start.transpose().within("slow_start_config")?;
    Ok(LbPolicy::WeightedLeastRequest(policy))
}

fn bounded(choice_count: Option<u64>) -> Checked<u32> {
    match choice_count.unwrap_or(2) {
        count @ (0 | 1) => Err(Invalid::at("choice_count", format!("must be at least 2, found {count}"))),
        count => Ok(count.min(10) as u32),
    }
}

fn common_slow_start(config: &policies::common::v3::SlowStartConfig) -> Checked<SlowStart> {
    slow_start_of(config.slow_start_window.as_ref(), &config.aggression, &config.min_weight_percent)
}

fn slow_start_of(
    window: Option<&ProtoDuration>,
    aggression: &Option<RuntimeDouble>,
    min_weight_percent: &Option<Percent>,
) -> Checked<SlowStart> {
    let window = optional_duration(window, "slow_start_window")?;
    let aggression = aggression.as_ref().map(|aggression| aggression.default_value);
    checked_slow_start(window, aggression, min_weight_percent.as_ref().map(|percent| percent.value))
}

// LB-51
fn checked_slow_start(
    window: Option<Duration>,
    aggression: Option<f64>,
    min_weight_percent: Option<f64>,
) -> Checked<SlowStart> {
    let window = window.ok_or_else(|| Invalid::at("slow_start_window", "must be set"))?;
    let mut slow_start = SlowStart::new(window);
    slow_start.aggression = aggression.unwrap_or(slow_start.aggression);
    if !(slow_start.aggression.is_finite() && slow_start.aggression >= LEAST_AGGRESSION) {
        let found = slow_start.aggression;
        return Err(Invalid::at("aggression", format!("must be at least 1e-30, found {found}")));
    }
    slow_start.min_weight_percent = min_weight_percent.unwrap_or(slow_start.min_weight_percent);
    if !(0.0..=100.0).contains(&slow_start.min_weight_percent) {
        let found = slow_start.min_weight_percent;
        return Err(Invalid::at("min_weight_percent", format!("must be from 0 to 100, found {found}")));
    }
    Ok(slow_start)
}

/// Weights by the load that endpoints report.
pub(super) fn reported(config: &ClientSideWeightedRoundRobin) -> Checked<LbPolicy> {
    let settings = Reported {
        is_out_of_band: config.enable_oob_load_report.is_some_and(|enabled| enabled.value),
        oob_reporting_period: optional_duration(
            config.oob_reporting_period.as_ref(),
            "oob_reporting_period",
        )?,
        blackout_period: optional_duration(config.blackout_period.as_ref(), "blackout_period")?,
        weight_expiration_period: optional_duration(
            config.weight_expiration_period.as_ref(),
            "weight_expiration_period",
        )?,
        weight_update_period: optional_duration(
            config.weight_update_period.as_ref(),
            "weight_update_period",
        )?,
        error_utilization_penalty: config.error_utilization_penalty.map(|penalty| penalty.value.into()),
        metric_names: config.metric_names_for_computing_utilization.clone(),
        slow_start: config
            .slow_start_config
            .as_ref()
            .map(common_slow_start)
            .transpose()
            .within("slow_start_config")?,
    };
    settings.policy()
}

/// The same in gRPC's JSON.
pub(super) fn reported_fields(fields: &Struct) -> Checked<LbPolicy> {
    let slow_start = match section(fields, &["slow_start_config", "slowStartConfig"])? {
        Some(config) => Some(slow_start_fields(config).within("slow_start_config")?),
        None => None,
    };
    let settings = Reported {
        is_out_of_band: flag(fields, &["enable_oob_load_report", "enableOobLoadReport"])?.unwrap_or(false),
        oob_reporting_period: span(fields, &["oob_reporting_period", "oobReportingPeriod"])?,
        blackout_period: span(fields, &["blackout_period", "blackoutPeriod"])?,
        weight_expiration_period: span(fields, &["weight_expiration_period", "weightExpirationPeriod"])?,
        weight_update_period: span(fields, &["weight_update_period", "weightUpdatePeriod"])?,
        error_utilization_penalty: float(fields, &["error_utilization_penalty", "errorUtilizationPenalty"])?,
        metric_names: strings_of(
            fields,
            &["metric_names_for_computing_utilization", "metricNamesForComputingUtilization"],
        )?,
        slow_start,
    };
    settings.policy()
}

/// Our own policy, for which no message exists.
pub(super) fn peak_ewma(fields: &Struct) -> Checked<LbPolicy> {
    let mut policy = PeakEwma::default();
    policy.decay = span(fields, &["decay"])?.unwrap_or(policy.decay);
    if let Some(config) = section(fields, &["slow_start_config", "slowStartConfig"])? {
        policy.slow_start = Some(slow_start_fields(config).within("slow_start_config")?);
    }
    Ok(LbPolicy::PeakEwma(policy))
}

fn slow_start_fields(fields: &Struct) -> Checked<SlowStart> {
    let window = span(fields, &["slow_start_window", "slowStartWindow"])?;
    let percent = float(fields, &["min_weight_percent", "minWeightPercent"])?;
    checked_slow_start(window, float(fields, &["aggression"])?, percent)
}

/// The settings of weights by reports as they are on the wire.
struct Reported {
    is_out_of_band: bool,
    oob_reporting_period: Option<Duration>,
    blackout_period: Option<Duration>,
    weight_expiration_period: Option<Duration>,
    weight_update_period: Option<Duration>,
    error_utilization_penalty: Option<f64>,
    metric_names: Vec<String>,
    slow_start: Option<SlowStart>,
}

impl Reported {
    // LB-43
    fn policy(self) -> Checked<LbPolicy> {
        let mut weights = ReportedWeights::default();
        let period = self.oob_reporting_period.unwrap_or(OUT_OF_BAND_PERIOD);
        weights.out_of_band = self.is_out_of_band.then_some(period);
        weights.blackout = self.blackout_period.unwrap_or(weights.blackout);
        weights.expiration = self.weight_expiration_period.unwrap_or(weights.expiration);
        weights.update_period = self.weight_update_period.unwrap_or(weights.update_period);
        if let Some(penalty) = self.error_utilization_penalty {
            if !(penalty.is_finite() && penalty >= 0.0) {
                let text = format!("must not be negative, found {penalty}");
                return Err(Invalid::at("error_utilization_penalty", text));
            }
            weights.error_utilization_penalty = penalty;
        }
        weights.utilization_metrics = self.metric_names.into_iter().map(Into::into).collect();
        let mut policy = WeightedRoundRobin::new(WeightSource::Reported(weights));
        policy.slow_start = self.slow_start;
        Ok(LbPolicy::WeightedRoundRobin(policy))
    }
}

const OUT_OF_BAND_PERIOD: Duration = Duration::from_secs(10);
/// As in Envoy.
const LEAST_AGGRESSION: f64 = 1e-30;
