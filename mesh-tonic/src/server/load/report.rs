//! The report: `xds.data.orca.v3.OrcaLoadReport`.

use std::collections::BTreeMap;

use crate::server::wire::{put_double, put_entry};

/// What is known of a load. A later value takes the place of an earlier one.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Report {
    numbers: [Option<f64>; Number::COUNT],
    entries: [BTreeMap<String, f64>; Map::COUNT],
}

/// A value of the whole server.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    Cpu,
    Memory,
    Application,
    RequestsPerSecond,
    ErrorsPerSecond,
}

/// Values by name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Map {
    RequestCost,
    Utilization,
    NamedMetrics,
}

impl Number {
    const COUNT: usize = 5;

    const FIELDS: [u32; Self::COUNT] = [1, 2, 9, 6, 7];

    /// Whether the value is one that gRPC's clients take.
    fn takes(self, value: f64) -> bool {
        match self {
            Self::Memory => (0.0..=1.0).contains(&value),
            Self::Cpu | Self::Application | Self::RequestsPerSecond | Self::ErrorsPerSecond => {
                value >= 0.0 && value.is_finite()
            }
        }
    }
}

impl Map {
    const COUNT: usize = 3;

    const FIELDS: [u32; Self::COUNT] = [4, 5, 8];

    fn takes(self, value: f64) -> bool {
        match self {
            Self::Utilization => (0.0..=1.0).contains(&value),
            Self::RequestCost | Self::NamedMetrics => value.is_finite(),
        }
    }
}

impl Report {
    /// A value that is out of range changes nothing.
    pub(super) fn set(&mut self, number: Number, value: f64) {
        if number.takes(value) {
            self.numbers[number as usize] = Some(value);
        }
    }

    pub(super) fn clear(&mut self, number: Number) {
        self.numbers[number as usize] = None;
    }

    /// A value that is out of range changes nothing.
    pub(super) fn set_entry(&mut self, map: Map, name: &str, value: f64) {
        if map.takes(value) {
            self.entries[map as usize].insert(name.to_owned(), value);
        }
    }

    pub(super) fn clear_entry(&mut self, map: Map, name: &str) {
        self.entries[map as usize].remove(name);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.numbers.iter().all(Option::is_none) && self.entries.iter().all(BTreeMap::is_empty)
    }

    /// Takes over what `other` knows, in the place of what is known here.
    // OB-19
    pub(super) fn overwrite(&mut self, other: &Self) {
        for (mine, other) in self.numbers.iter_mut().zip(&other.numbers) {
            *mine = other.or(*mine);
        }
        for (mine, other) in self.entries.iter_mut().zip(&other.entries) {
            mine.extend(other.iter().map(|(name, value)| (name.clone(), *value)));
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut message = Vec::new();
        for (number, value) in Number::FIELDS.into_iter().zip(&self.numbers) {
            put_double(&mut message, number, value.unwrap_or_default());
        }
        for (number, entries) in Map::FIELDS.into_iter().zip(&self.entries) {
            for (name, value) in entries {
                put_entry(&mut message, number, name, *value);
            }
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use mesh_core::testing::OrcaReport;

    use super::*;

    #[test]
    fn client_reads_what_the_server_writes() {
        let mut report = Report::default();
        report.set(Number::Cpu, 1.5);
        report.set(Number::Memory, 0.25);
        report.set(Number::Application, 0.5);
        report.set(Number::RequestsPerSecond, 100.0);
        report.set(Number::ErrorsPerSecond, 3.0);
        report.set_entry(Map::RequestCost, "rows", 7.0);
        report.set_entry(Map::Utilization, "disk", 0.75);
        report.set_entry(Map::NamedMetrics, "queue", 0.0);
        let message = report.encode();
        let read = OrcaReport::parse(&message).unwrap();
        assert_eq!((read.cpu_utilization, read.mem_utilization), (Some(1.5), Some(0.25)));
        assert_eq!(read.application_utilization, Some(0.5));
        assert_eq!((read.requests_per_second, read.errors_per_second), (Some(100.0), Some(3.0)));
        assert_eq!(read.request_cost().collect::<Vec<_>>(), [("rows", 7.0)]);
        assert_eq!(read.utilization().collect::<Vec<_>>(), [("disk", 0.75)]);
        assert_eq!(read.named_metrics().collect::<Vec<_>>(), [("queue", 0.0)]);
    }

    #[test]
    fn values_out_of_range_change_nothing() {
        let mut report = Report::default();
        let numbers = [
            (Number::Cpu, -0.1),
            (Number::Cpu, f64::NAN),
            (Number::Memory, 1.1),
            (Number::Application, f64::INFINITY),
        ];
        for (number, value) in numbers {
            report.set(number, value);
        }
        report.set_entry(Map::Utilization, "disk", 1.5);
        report.set_entry(Map::RequestCost, "rows", f64::NAN);
        assert!(report.is_empty(), "{report:?}");
        report.set(Number::Cpu, 0.5);
        report.set(Number::Cpu, -1.0);
        report.set(Number::Cpu, 0.75);
        assert_eq!(
            OrcaReport::parse(&report.encode()).unwrap().cpu_utilization,
            Some(0.75),
            "the last one counts"
        );
    }
}
