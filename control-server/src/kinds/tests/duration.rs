use std::time::Duration;

use serde::Deserialize;
use serde::de::value::{Error, StrDeserializer};

use crate::kinds::{GatewayDuration, ProtoDuration};

fn proto(text: &str) -> Option<Duration> {
    ProtoDuration::deserialize(StrDeserializer::<Error>::new(text)).ok().map(|duration| duration.0)
}

fn gateway(text: &str) -> Option<Duration> {
    GatewayDuration::deserialize(StrDeserializer::<Error>::new(text)).ok().map(|duration| duration.0)
}

#[test]
fn istio_durations_are_proto_json_or_as_in_go() {
    let milliseconds = |value| Some(Duration::from_millis(value));
    let cases = [
        ("1.5s", milliseconds(1500)),
        ("0s", milliseconds(0)),
        ("0.001s", milliseconds(1)),
        ("500ms", milliseconds(500)),
        ("1m30s", milliseconds(90_000)),
        ("1h", milliseconds(3_600_000)),
        ("1.5h", milliseconds(5_400_000)),
        ("2000us", milliseconds(2)),
        ("0.0001s", None),
        ("5", None),
        ("s", None),
        ("", None),
        ("-1s", None),
        ("1 s", None),
        ("1d", None),
        ("1s!", None),
        ("1..5s", None),
        ("99999999999999999999s", None),
        ("999999h", None),
    ];
    for (text, expected) in cases {
        assert_eq!(proto(text), expected, "{text}");
    }
}

#[test]
fn gateway_durations_are_those_of_gep_2257() {
    let seconds = |value| Some(Duration::from_secs(value));
    let cases = [
        ("10s", seconds(10)),
        ("1h30m10s", seconds(5410)),
        ("1h1m1s1000ms", seconds(3662)),
        ("0s", seconds(0)),
        ("1.5s", None),
        ("100000s", None),
        ("1s1s1s1s1s", None),
        ("10us", None),
        ("", None),
    ];
    for (text, expected) in cases {
        assert_eq!(gateway(text), expected, "{text}");
    }
}
