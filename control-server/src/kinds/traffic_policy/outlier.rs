//! `outlierDetection` of a traffic policy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Findings};
use crate::kinds::{ProtoDuration, check};
use crate::state::ClientFamily;
use crate::yaml::FieldPath;

/// When an endpoint is ejected for a while.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct OutlierDetection {
    #[serde(rename = "consecutive5xxErrors")]
    consecutive_5xx_errors: Option<u32>,
    consecutive_errors: Option<u32>,
    consecutive_gateway_errors: Option<u32>,
    split_external_local_origin_errors: Option<bool>,
    consecutive_local_origin_failures: Option<u32>,
    pub(crate) interval: Option<ProtoDuration>,
    pub(crate) base_ejection_time: Option<ProtoDuration>,
    pub(crate) max_ejection_percent: Option<u32>,
    pub(crate) min_health_percent: Option<u32>,
    pub(crate) outlier_detection_http_error_codes: Vec<u32>,
}

impl OutlierDetection {
    /// The threshold of server errors in a row; 0: they do not count.
    pub(crate) fn server_errors(&self) -> u32 {
        self.consecutive_5xx_errors.or(self.consecutive_errors).unwrap_or(5)
    }

    /// The threshold of gateway errors in a row; 0: they do not count.
    pub(crate) fn gateway_errors(&self) -> u32 {
        self.consecutive_gateway_errors.unwrap_or(0)
    }

    /// The threshold of failures in a row to reach the endpoint. `None`: they count as gateway errors.
    pub(crate) fn local_origin_failures(&self) -> Option<u32> {
        let is_split = self.split_external_local_origin_errors.unwrap_or(false);
        is_split.then(|| self.consecutive_local_origin_failures.unwrap_or(5))
    }

    pub(crate) fn check(&self, path: &FieldPath, findings: &mut Findings) {
        for (field, percent) in
            [("maxEjectionPercent", self.max_ejection_percent), ("minHealthPercent", self.min_health_percent)]
        {
            if let Some(percent) = percent {
                check::percent(f64::from(percent), &path.field(field), findings);
            }
        }
        for (field, duration) in [("interval", self.interval), ("baseEjectionTime", self.base_ejection_time)]
        {
            if duration.is_some_and(|duration| duration.0.is_zero()) {
                findings.error(path.field(field), "found the text `0s`, expected a duration of at least 1ms");
            }
        }
        let codes = path.field("outlierDetectionHttpErrorCodes");
        for (index, code) in self.outlier_detection_http_error_codes.iter().enumerate() {
            if !(100..600).contains(code) {
                findings
                    .error(codes.index(index), format!("found {code}, expected an HTTP status: 100 to 599"));
            }
        }
        let rows = [self.server_errors(), self.gateway_errors()].into_iter().filter(|count| *count > 0);
        if let Some(count) = rows.min() {
            let message = format!(
                "only mesh-tonic and Envoy count failures in a row: other gRPC clients eject endpoints that fail 85 % of at \
                 least {count} calls in an interval; mesh-tonic and Envoy do that too"
            );
            let finding = Finding::warning(path.clone(), message).of_clients(&[ClientFamily::Grpc]);
            findings.push(finding);
        }
    }
}
