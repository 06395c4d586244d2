//! The weight of an endpoint by the load that it reports (gRFC A58, A114).

use crate::config::{Name, ReportedWeights};

use super::OrcaReport;

impl OrcaReport<'_> {
    /// LB-44: the weight that follows from the report; `None`: the report says nothing about it, and the last weight stays.
    pub(crate) fn weight(&self, settings: &ReportedWeights) -> Option<f32> {
        let queries = self.requests_per_second.filter(is_usable)?;
        let utilization = self.total_utilization(&settings.utilization_metrics)?;
        let errors = self.errors_per_second.filter(is_usable).unwrap_or(0.0);
        let penalty = errors / queries * settings.error_utilization_penalty;
        let weight = (queries / (utilization + penalty)) as f32;
        (weight.is_finite() && weight > 0.0).then_some(weight)
    }

    /// LB-47: the application's own figure, or the largest of the configured metrics, or the use of the CPU.
    fn total_utilization(&self, metrics: &[Name]) -> Option<f64> {
        let configured = metrics.iter().filter_map(|name| self.metric(name)).filter(is_usable);
        let application = self.application_utilization.filter(is_usable);
        application.or_else(|| configured.reduce(f64::max)).or_else(|| self.cpu_utilization.filter(is_usable))
    }

    /// A metric by its name: a field, or a map and its key.
    fn metric(&self, name: &str) -> Option<f64> {
        match name.split_once('.') {
            Some(("named_metrics", key)) => self.named_metric(key),
            Some(("utilization", key)) => {
                self.utilization().filter(|(known, _)| *known == key).last().map(|(_, value)| value)
            }
            Some(_) => None,
            None => match name {
                "application_utilization" => self.application_utilization,
                "cpu_utilization" => self.cpu_utilization,
                "mem_utilization" => self.mem_utilization,
                _ => None,
            },
        }
    }
}

/// A number that says something: neither zero, nor negative, nor without an end.
fn is_usable(value: &f64) -> bool {
    value.is_finite() && *value > 0.0
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    type Fields = &'static [(&'static str, f64)];

    /// A report of these fields; a name with a dot is an entry of a map.
    fn message(fields: &[(&str, f64)]) -> Vec<u8> {
        let mut message = Vec::new();
        let double = |number: u8, value: f64| [&[number << 3 | 1][..], &value.to_le_bytes()].concat();
        for (name, value) in fields {
            let number = match *name {
                "cpu" => 1,
                "mem" => 2,
                "qps" => 6,
                "eps" => 7,
                "application" => 9,
                entry => {
                    let (map, key) = entry.split_once('.').unwrap();
                    let key = [&[0x0a, key.len() as u8][..], key.as_bytes()].concat();
                    let entry = [key, double(2, *value)].concat();
                    let number: u8 = if map == "utilization" { 5 } else { 8 };
                    message.extend([number << 3 | 2, entry.len() as u8]);
                    message.extend(entry);
                    continue;
                }
            };
            message.extend(double(number, *value));
        }
        message
    }

    fn weight(fields: &[(&str, f64)], metrics: &[&str], penalty: f64) -> Option<f32> {
        let settings = ReportedWeights {
            utilization_metrics: metrics.iter().map(|name| Name::from(*name)).collect::<Arc<_>>(),
            error_utilization_penalty: penalty,
            ..ReportedWeights::default()
        };
        OrcaReport::parse(&message(fields)).unwrap().weight(&settings)
    }

    /// Case C14.
    /// Proves: LB-44.
    #[test]
    fn weight_is_queries_by_utilization_and_errors() {
        let rows: [(Fields, f64, Option<f32>); 12] = [
            (&[("qps", 100.0), ("application", 0.5)], 1.0, Some(200.0)),
            (&[("qps", 100.0), ("cpu", 1.0)], 1.0, Some(100.0)),
            (&[("qps", 100.0), ("application", 0.5), ("cpu", 1.0)], 1.0, Some(200.0)),
            (&[("qps", 100.0), ("application", 0.0), ("cpu", 1.0)], 1.0, Some(100.0)),
            (&[("qps", 100.0), ("application", f64::NAN), ("cpu", 1.0)], 1.0, Some(100.0)),
            (&[("qps", 100.0), ("application", 0.5), ("eps", 20.0)], 1.0, Some(142.857_15)),
            (&[("qps", 100.0), ("application", 0.5), ("eps", 20.0)], 0.0, Some(200.0)),
            (&[("qps", 0.0), ("application", 0.5)], 1.0, None),
            (&[("qps", 100.0), ("application", 0.0)], 1.0, None),
            (&[("qps", 100.0), ("eps", 20.0)], 1.0, None),
            (&[("application", 0.5)], 1.0, None),
            (&[("qps", -1.0), ("cpu", -0.5)], 1.0, None),
        ];
        for (fields, penalty, expected) in rows {
            assert_eq!(weight(fields, &[], penalty), expected, "{fields:?}");
        }
    }

    /// Case C16.
    /// Proves: LB-47.
    #[test]
    fn utilization_is_the_applications_then_the_largest_metric_then_the_cpus() {
        let names = ["named_metrics.a", "named_metrics.b", "named_metrics.c"];
        let metrics =
            [("qps", 1.0), ("cpu", 0.25), ("named.a", f64::NAN), ("named.b", 0.5), ("named.c", -1.0)];
        let rows: [(Fields, &[&str], f32); 8] = [
            (&[], &names, 2.0),
            (&[("application", 1.0)], &names, 1.0),
            (&[], &["named_metrics.a", "named_metrics.gone", "gone"], 4.0),
            (&[("mem", 2.0)], &["mem_utilization", "named_metrics.b"], 0.5),
            (&[("utilization.disk", 1.0)], &["named_metrics.b", "utilization.disk"], 1.0),
            (&[("named.disk.io", 1.0)], &["named_metrics.disk.io"], 1.0),
            (&[("utilization.b", 1.0)], &["cpu_utilization", "other.b"], 4.0),
            (&[], &[], 4.0),
        ];
        for (more, names, expected) in rows {
            assert_eq!(weight(&[&metrics, more].concat(), names, 1.0), Some(expected), "{more:?} {names:?}");
        }
    }
}
