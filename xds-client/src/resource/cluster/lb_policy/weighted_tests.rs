//! Weights, slow start and random, as messages and as structs.

use std::num::NonZeroU32;
use std::time::Duration;

use mesh_core::config::{
    LbPolicy, PeakEwma, ReportedWeights, SlowStart, Subsetting, WeightSource, WeightedLeastRequest,
    WeightedRoundRobin,
};
use serde_json::{Value, json};
use xds_proto::envoy::config::cluster::v3::Cluster as Proto;
use xds_proto::envoy::config::cluster::v3::cluster as old_config;
use xds_proto::envoy::config::cluster::v3::cluster::{LbConfig, LbPolicy as OldPolicy};
use xds_proto::envoy::config::core::v3::RuntimeDouble;
use xds_proto::envoy::extensions::load_balancing_policies as policies;
use xds_proto::envoy::r#type::v3::Percent;
use xds_proto::google::protobuf::{BoolValue, FloatValue, UInt64Value};

use crate::resource::cluster::samples::{eds, policies as policies_of, wrr_locality};
use crate::resource::testing::{pack_any, seconds, typed_struct, u32_value, unknown_any};

use super::tests::{Choice, decoded, flat, refused, weighted, with};

use policies::client_side_weighted_round_robin::v3::ClientSideWeightedRoundRobin;
use policies::common::v3::SlowStartConfig;
use policies::least_request::v3::LeastRequest;
use policies::maglev::v3::Maglev;
use policies::random::v3::Random;
use policies::random_subsetting::v3::RandomSubsetting;
use policies::round_robin::v3::RoundRobin;

const FIELD: &str = "load_balancing_policy.policies[0].typed_extension_config.typed_config";

fn double(default_value: f64) -> Option<RuntimeDouble> {
    Some(RuntimeDouble { default_value, ..Default::default() })
}

/// A window of a minute.
fn minute() -> SlowStartConfig {
    SlowStartConfig { slow_start_window: seconds(60), ..Default::default() }
}

fn robin(slow_start: SlowStart) -> LbPolicy {
    let policy = WeightedRoundRobin::new(WeightSource::Configured).with_slow_start(slow_start);
    LbPolicy::WeightedRoundRobin(policy)
}

fn least_request(change: impl FnOnce(&mut WeightedLeastRequest)) -> LbPolicy {
    let mut policy = WeightedLeastRequest::default();
    change(&mut policy);
    LbPolicy::WeightedLeastRequest(policy)
}

fn reported(change: impl FnOnce(&mut ReportedWeights)) -> WeightedRoundRobin {
    let mut weights = ReportedWeights::default();
    change(&mut weights);
    WeightedRoundRobin::new(WeightSource::Reported(weights))
}

#[test]
fn slow_start_makes_endpoint_weights_count() {
    let with_robin = |config| with(vec![pack_any(RoundRobin { slow_start_config: Some(config) })]);
    let plain = SlowStart::new(Duration::from_secs(60));
    assert_eq!(with_robin(minute()), flat(robin(plain)));
    let mut steep = plain;
    (steep.aggression, steep.min_weight_percent) = (2.0, 0.0);
    let config = SlowStartConfig {
        aggression: double(2.0),
        min_weight_percent: Some(Percent { value: 0.0 }),
        ..minute()
    };
    assert_eq!(with_robin(config), flat(robin(steep)));
    let config = LeastRequest { slow_start_config: Some(minute()), ..Default::default() };
    let expected = least_request(|policy| policy.slow_start = Some(plain));
    assert_eq!(with(vec![pack_any(config)]), flat(expected));

    let old = old_config::SlowStartConfig { slow_start_window: seconds(60), ..Default::default() };
    let cluster =
        |policy: OldPolicy, config| Proto { lb_policy: policy as i32, lb_config: Some(config), ..eds() };
    let config = old_config::RoundRobinLbConfig { slow_start_config: Some(old.clone()) };
    let found = decoded(&cluster(OldPolicy::RoundRobin, LbConfig::RoundRobinLbConfig(config)));
    assert_eq!(found, weighted(robin(plain)));
    let config = old_config::LeastRequestLbConfig {
        choice_count: u32_value(4),
        active_request_bias: double(0.5),
        slow_start_config: Some(old),
    };
    let found = decoded(&cluster(OldPolicy::LeastRequest, LbConfig::LeastRequestLbConfig(config)));
    let expected = least_request(|policy| {
        (policy.choice_count, policy.bias, policy.slow_start) = (4, 0.5, Some(plain));
    });
    assert_eq!(found, weighted(expected));
}

#[test]
fn slow_start_that_cannot_be_meant_is_refused() {
    let percent = |value| Some(Percent { value });
    let rows = [
        ("slow_start_window", "must be set", SlowStartConfig::default()),
        (
            "slow_start_window",
            "are not a duration",
            SlowStartConfig { slow_start_window: seconds(-1), ..minute() },
        ),
        ("aggression", "at least 1e-30", SlowStartConfig { aggression: double(0.0), ..minute() }),
        ("aggression", "at least 1e-30", SlowStartConfig { aggression: double(1e-31), ..minute() }),
        ("aggression", "at least 1e-30", SlowStartConfig { aggression: double(f64::NAN), ..minute() }),
        (
            "min_weight_percent",
            "from 0 to 100",
            SlowStartConfig { min_weight_percent: percent(101.0), ..minute() },
        ),
        (
            "min_weight_percent",
            "from 0 to 100",
            SlowStartConfig { min_weight_percent: percent(f64::NAN), ..minute() },
        ),
    ];
    for (field, reason, config) in rows {
        let path = format!("{FIELD}.slow_start_config.{field}");
        let robin = RoundRobin { slow_start_config: Some(config.clone()) };
        refused(field, with(vec![pack_any(robin)]), &path, reason);
        let least = LeastRequest { slow_start_config: Some(config), ..Default::default() };
        refused(field, with(vec![pack_any(least)]), &path, reason);
    }
}

#[test]
fn bias_makes_least_request_weighted_and_is_not_negative() {
    let biased = |bias| LeastRequest { active_request_bias: double(bias), ..Default::default() };
    assert_eq!(with(vec![pack_any(biased(0.0))]), flat(least_request(|policy| policy.bias = 0.0)));
    for bias in [-1.0, f64::NAN, f64::INFINITY] {
        let path = format!("{FIELD}.active_request_bias");
        refused("bias", with(vec![pack_any(biased(bias))]), &path, "must not be negative");
    }
}

fn in_json(fields: Value) -> Result<Choice, (String, String)> {
    with(vec![typed_struct("xds.type.v3", "weighted_round_robin", fields)])
}

/// LB-43
#[test]
fn weights_by_reports_are_decoded_from_messages_and_structs() {
    let default = flat(LbPolicy::WeightedRoundRobin(reported(|_| {})));
    assert_eq!(with(vec![pack_any(ClientSideWeightedRoundRobin::default())]), default);
    assert_eq!(in_json(json!({})), default);
    let mut full = reported(|weights| {
        weights.out_of_band = Some(Duration::from_secs(5));
        weights.blackout = Duration::from_secs(1);
        weights.expiration = Duration::from_secs(2);
        weights.update_period = Duration::from_secs(3);
        weights.error_utilization_penalty = 0.5;
        weights.utilization_metrics = ["named_metrics.queue".into()].into();
    });
    full.slow_start = Some(SlowStart::new(Duration::from_secs(60)));
    let message = ClientSideWeightedRoundRobin {
        enable_oob_load_report: Some(BoolValue { value: true }),
        oob_reporting_period: seconds(5),
        blackout_period: seconds(1),
        weight_expiration_period: seconds(2),
        weight_update_period: seconds(3),
        error_utilization_penalty: Some(FloatValue { value: 0.5 }),
        metric_names_for_computing_utilization: vec!["named_metrics.queue".into()],
        slow_start_config: Some(minute()),
    };
    let expected = flat(LbPolicy::WeightedRoundRobin(full));
    assert_eq!(with(vec![pack_any(message)]), expected);
    let fields = json!({
        "enableOobLoadReport": true,
        "oobReportingPeriod": "5s",
        "blackoutPeriod": "1s",
        "weightExpirationPeriod": "2.000s",
        "weightUpdatePeriod": "3s",
        "errorUtilizationPenalty": 0.5,
        "metricNamesForComputingUtilization": ["named_metrics.queue"],
        "slowStartConfig": {"slowStartWindow": "60s", "aggression": 1, "minWeightPercent": 10},
    });
    assert_eq!(in_json(fields), expected);
    let default = reported(|weights| weights.out_of_band = Some(Duration::from_secs(10)));
    let default = flat(LbPolicy::WeightedRoundRobin(default));
    assert_eq!(in_json(json!({"enable_oob_load_report": true})), default);
}

/// LB-43
#[test]
fn wrong_settings_of_weights_by_reports_are_refused() {
    let negative = FloatValue { value: -1.0 };
    let message =
        ClientSideWeightedRoundRobin { error_utilization_penalty: Some(negative), ..Default::default() };
    let path = format!("{FIELD}.error_utilization_penalty");
    refused("penalty", with(vec![pack_any(message)]), &path, "must not be negative");
    let message = ClientSideWeightedRoundRobin { blackout_period: seconds(-1), ..Default::default() };
    refused("span", with(vec![pack_any(message)]), &format!("{FIELD}.blackout_period"), "not a duration");
    let rows = [
        (json!({"blackoutPeriod": "1"}), "blackout_period", "expected a duration"),
        (json!({"blackoutPeriod": "-1s"}), "blackout_period", "expected a duration"),
        (json!({"blackoutPeriod": "1e99s"}), "blackout_period", "expected a duration"),
        (json!({"blackoutPeriod": 1}), "blackout_period", "expected a duration"),
        (json!({"enableOobLoadReport": "yes"}), "enable_oob_load_report", "expected true or false"),
        (json!({"errorUtilizationPenalty": "1"}), "error_utilization_penalty", "expected a number"),
        (json!({"metricNamesForComputingUtilization": 1}), "metric_names_for_computing_utilization", "list"),
        (json!({"slowStartConfig": 1}), "slow_start_config", "expected an object"),
        (json!({"slowStartConfig": {}}), "slow_start_config.slow_start_window", "must be set"),
    ];
    for (fields, field, reason) in rows {
        refused(&fields.to_string(), in_json(fields.clone()), &format!("{FIELD}.{field}"), reason);
    }
}

/// LB-49
#[test]
fn maglev_tables_have_a_prime_number_of_slots() {
    let sized = |size| {
        let config = Maglev { table_size: size };
        with(vec![pack_any(config)])
    };
    let table = |size| {
        let mut maglev = mesh_core::config::Maglev::default();
        maglev.table_size = size;
        flat(LbPolicy::Maglev(maglev))
    };
    assert_eq!(sized(None), table(65_537));
    for size in [2, 3, 101, 5_000_011] {
        assert_eq!(sized(Some(UInt64Value { value: size })), table(size));
    }
    for (size, reason) in
        [(0, "from 2 to"), (1, "from 2 to"), (5_000_012, "from 2 to"), (9, "a prime"), (65_536, "a prime")]
    {
        let found = sized(Some(UInt64Value { value: size }));
        refused("size", found, &format!("{FIELD}.table_size"), reason);
    }
    let name = "envoy.extensions.load_balancing_policies.maglev.v3.Maglev";
    assert_eq!(with(vec![typed_struct("xds.type.v3", name, json!({"tableSize": "101"}))]), table(101));
}

#[test]
fn subsetting_has_a_size_and_a_child() {
    let config = |size: u32, child| RandomSubsetting { subset_size: u32_value(size), child_policy: child };
    let robin = || policies_of(vec![pack_any(RoundRobin::default())]);
    let expected = Subsetting::random(NonZeroU32::new(7).unwrap(), LbPolicy::RoundRobin);
    assert_eq!(with(vec![pack_any(config(7, robin()))]), flat(LbPolicy::Subsetting(expected)));
    let rows = [
        (RandomSubsetting::default(), "subset_size", "above 0"),
        (config(0, robin()), "subset_size", "above 0"),
        (config(1, None), "child_policy", "must be set"),
        (config(1, policies_of(vec![unknown_any()])), "child_policy.policies", "no supported policy"),
        (
            config(1, policies_of(vec![wrr_locality(vec![pack_any(Random::default())])])),
            "child_policy",
            "wrr_locality",
        ),
    ];
    for (config, field, reason) in rows {
        refused(field, with(vec![pack_any(config)]), &format!("{FIELD}.{field}"), reason);
    }
}

#[test]
fn peak_ewma_is_a_struct() {
    let decoded = |fields| with(vec![typed_struct("xds.type.v3", "peak_ewma", fields)]);
    let mut policy = PeakEwma::default();
    assert_eq!(decoded(json!({})), flat(LbPolicy::PeakEwma(policy)));
    policy.decay = Duration::from_secs(5);
    policy.slow_start = Some(SlowStart::new(Duration::from_secs(60)));
    let fields = json!({"decay": "5s", "slowStartConfig": {"slowStartWindow": "60s"}});
    assert_eq!(decoded(fields), flat(LbPolicy::PeakEwma(policy)));
    refused("decay", decoded(json!({"decay": 5})), &format!("{FIELD}.decay"), "expected a duration");
}

#[test]
fn random_is_decoded_without_the_old_enum() {
    let name = "envoy.extensions.load_balancing_policies.random.v3.Random";
    assert_eq!(with(vec![pack_any(Random::default())]), flat(LbPolicy::Random));
    assert_eq!(with(vec![typed_struct("xds.type.v3", name, json!({}))]), flat(LbPolicy::Random));
}
