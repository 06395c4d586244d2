//! `outlierDetection` of a traffic policy.

use serde::Deserialize;

use crate::finding::Findings;
use crate::kinds::{ProtoDuration, check};
use crate::yaml::FieldPath;

/// When an endpoint is left out for a while.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
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
    min_health_percent: Option<u32>,
    outlier_detection_http_error_codes: Vec<u32>,
}

impl OutlierDetection {
    /// How many failures in a row it takes; none: endpoints are never left out.
    pub(crate) fn consecutive_failures(&self) -> Option<u32> {
        let any = self.consecutive_5xx_errors.or(self.consecutive_errors).unwrap_or(5);
        let gateway = self.consecutive_gateway_errors.unwrap_or(0);
        [any, gateway].into_iter().filter(|count| *count > 0).min()
    }

    pub(super) fn check(&self, path: &FieldPath, findings: &mut Findings) {
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
        if let Some(count) = self.consecutive_failures() {
            let message = format!(
                "gRPC clients do not count failures in a row: this works as an ejection of endpoints that fail 85 % of at \
                 least {count} calls in an interval"
            );
            findings.warning(path.clone(), message);
        }
    }
}
