//! The tasks of an endpoint's streams.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{Name, ReportedWeights};
use crate::policy::backoff::{Backoff, BackoffSettings};
use crate::policy::lb::{EndpointId, EndpointLoad};
use crate::policy::load_report::orca::OrcaReport;
use crate::runtime::balance::mailbox::{Event, Mailbox};
use crate::runtime::balance::slot::StreamTarget;
use crate::runtime::connect::Connection;

use super::Health;
use super::messages::{StreamEnd, stream};

/// Asks an endpoint for reports of its load, and keeps the weight that follows from each.
pub(super) async fn follow_reports<T: Connection>(
    target: StreamTarget<T>,
    load: Arc<EndpointLoad>,
    settings: ReportedWeights,
) {
    let request = report_request(settings.out_of_band.unwrap_or_default());
    let on_message = |message: &[u8]| {
        if let Some(weight) = OrcaReport::parse(message).and_then(|report| report.weight(&settings)) {
            load.weight.report(weight);
        }
    };
    let end = repeat(&target, ORCA, &request, on_message, |_| {}).await;
    tracing::debug!(endpoint = %target.authority, %end, "no reports of load");
}

/// Asks an endpoint for its health, and sends every answer to the cluster's task.
pub(super) async fn follow_health<T: Connection>(
    target: StreamTarget<T>,
    service: Name,
    (id, number): (EndpointId, u64),
    mailbox: Arc<Mailbox<T>>,
) {
    let say = |health| mailbox.push(Event::Health(id, number, health));
    let request = string_field(&service);
    let on_message = |message: &[u8]| {
        say(match serving_status(message) {
            SERVING => Health::Serving,
            status => Health::NotServing(format!("the health of {service:?} has the status {status}").into()),
        });
    };
    let on_end = |end: &StreamEnd| {
        say(Health::NotServing(format!("the health of {service:?} is not known: {end}").into()));
    };
    let end = repeat(&target, HEALTH, &request, on_message, on_end).await;
    // A17: an endpoint without the health service counts as healthy
    tracing::warn!(endpoint = %target.authority, %end, "the endpoint does not have the health service");
    say(Health::Serving);
}

/// Opens a stream again and again, with growing pauses until there is a message, until the endpoint does not have the method.
async fn repeat<T: Connection>(
    target: &StreamTarget<T>,
    method: &str,
    request: &[u8],
    mut on_message: impl FnMut(&[u8]),
    on_end: impl Fn(&StreamEnd),
) -> StreamEnd {
    let mut backoff = Backoff::default();
    loop {
        let mut has_message = false;
        let count = |message: &[u8]| {
            has_message = true;
            on_message(message);
        };
        let end = match target.reserve().await {
            Some(place) => stream::<T>(place, &target.authority, method, request, count).await,
            None => StreamEnd::Broken("there is no connection".to_owned()),
        };
        if end.is_unimplemented() {
            return end;
        }
        on_end(&end);
        if has_message {
            backoff = Backoff::default();
        }
        let pause = backoff.next(&BackoffSettings::default(), &mut rand::rng());
        tokio::time::sleep(pause).await;
    }
}

/// `xds.service.orca.v3.OrcaLoadReportRequest`: a duration as its first field.
fn report_request(interval: Duration) -> Vec<u8> {
    let mut duration = vec![0x08];
    varint(&mut duration, interval.as_secs());
    if interval.subsec_nanos() > 0 {
        duration.push(0x10);
        varint(&mut duration, interval.subsec_nanos().into());
    }
    let mut request = vec![0x0a, duration.len() as u8];
    request.extend(duration);
    request
}

/// `grpc.health.v1.HealthCheckRequest`: a text as its first field.
fn string_field(text: &str) -> Vec<u8> {
    let mut request = Vec::with_capacity(text.len() + 6);
    if !text.is_empty() {
        request.push(0x0a);
        varint(&mut request, text.len() as u64);
        request.extend(text.as_bytes());
    }
    request
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The status of a `grpc.health.v1.HealthCheckResponse`: a number as its first field, 0 if it is left out.
fn serving_status(message: &[u8]) -> u8 {
    match message {
        [0x08, status, ..] => *status,
        _ => 0,
    }
}

const ORCA: &str = "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics";
const HEALTH: &str = "/grpc.health.v1.Health/Watch";
const SERVING: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_encoded_as_protobuf_has_them() {
        assert_eq!(report_request(Duration::from_secs(10)), [0x0a, 2, 0x08, 10]);
        assert_eq!(report_request(Duration::from_secs(300)), [0x0a, 3, 0x08, 0xac, 0x02]);
        assert_eq!(report_request(Duration::from_nanos(5)), [0x0a, 4, 0x08, 0, 0x10, 5]);
        assert_eq!(string_field("a.B"), [0x0a, 3, b'a', b'.', b'B']);
        assert_eq!(string_field("").len(), 0);
        assert_eq!([serving_status(&[]), serving_status(&[8, 1]), serving_status(&[8, 2])], [0, 1, 2]);
    }
}
