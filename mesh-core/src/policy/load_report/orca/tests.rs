use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::{HEADER, OrcaReport, Payload};

fn double(number: u8, value: f64) -> Vec<u8> {
    [&[number << 3 | 1][..], &value.to_le_bytes()].concat()
}

fn bytes(number: u8, value: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(value.len()).unwrap()], value].concat()
}

fn entry(map: u8, name: &str, value: f64) -> Vec<u8> {
    bytes(map, &[bytes(1, name.as_bytes()), double(2, value)].concat())
}

#[test]
fn all_fields_are_read_and_others_skipped() {
    let message = [
        double(1, 0.5),
        double(2, 0.25),
        vec![3 << 3, 0xff, 0x01], // `rps`, deprecated
        entry(4, "joules", 3.5),
        entry(5, "disk", 0.75),
        double(6, 120.5),
        double(7, 1.5),
        entry(8, "queue", 7.0),
        entry(8, "", 1.0),
        bytes(8, &bytes(1, b"zero")),
        double(9, 1.25),
        vec![15 << 3 | 5, 1, 2, 3, 4], // a field of the future
    ]
    .concat();
    let report = OrcaReport::parse(&message).unwrap();
    assert_eq!(
        [
            report.cpu_utilization,
            report.mem_utilization,
            report.application_utilization,
            report.requests_per_second,
            report.errors_per_second,
        ],
        [Some(0.5), Some(0.25), Some(1.25), Some(120.5), Some(1.5)]
    );
    assert_eq!(report.request_cost().collect::<Vec<_>>(), [("joules", 3.5)]);
    assert_eq!(report.utilization().collect::<Vec<_>>(), [("disk", 0.75)]);
    assert_eq!(report.named_metrics().collect::<Vec<_>>(), [("queue", 7.0), ("", 1.0), ("zero", 0.0)]);
    assert_eq!((report.named_metric("queue"), report.named_metric("q")), (Some(7.0), None));
}

#[test]
fn last_value_of_a_field_counts() {
    let message = [double(1, 0.5), entry(8, "a", 1.0), entry(8, "a", 2.0), double(1, 0.75)].concat();
    let report = OrcaReport::parse(&message).unwrap();
    assert_eq!((report.cpu_utilization, report.named_metric("a")), (Some(0.75), Some(2.0)));
}

#[test]
fn malformed_report_is_none() {
    let table: [(&str, Vec<u8>); 9] = [
        ("cut short in a value", double(1, 0.5)[..5].to_vec()),
        ("cut short after a key", vec![1 << 3 | 1]),
        ("a length beyond the end", vec![8 << 3 | 2, 0x7f, 0]),
        ("a length beyond all memory", [&[8 << 3 | 2][..], &[0xff; 9], &[1]].concat()),
        ("a number of eleven bytes", [&[3 << 3][..], &[0xff; 10], &[0]].concat()),
        ("field number zero", vec![1, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("a group", vec![3 << 3 | 3]),
        ("utilization as bytes", bytes(1, b"0.5")),
        ("a name that is not text", bytes(8, &bytes(1, &[0xff]))),
    ];
    for (name, message) in table {
        assert_eq!(OrcaReport::parse(&message), None, "{name}");
    }
    assert!(OrcaReport::parse(&[]).is_some(), "an empty message is a report of nothing");
}

#[test]
fn report_is_one_base64_header_with_or_without_padding() {
    let long = [entry(8, &"n".repeat(100), 1.0), entry(8, &"m".repeat(100), 2.0)].concat().repeat(3);
    let long_text = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &long);
    type Row<'a> = (&'a str, &'a [&'a str], Option<&'a [u8]>);
    let table: [Row<'_>; 8] = [
        ("none", &[], None),
        ("padded", &["CQAAAAAAAOA/"], Some(&double(1, 0.5))),
        ("with padding", &["AQI="], Some(&[1, 2])),
        ("without it", &["AQI"], Some(&[1, 2])),
        ("empty", &[""], Some(&[])),
        ("not base64", &["a,b"], None),
        ("two of them", &["AQI", "AQI"], None),
        ("a long one", &[&long_text], Some(&long)),
    ];
    for (name, values, expected) in table {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_str(value).unwrap());
        }
        let payload = Payload::from_headers(&headers);
        assert_eq!(payload.as_ref().map(Payload::as_bytes), expected, "{name}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(message in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Some(report) = OrcaReport::parse(&message) {
            let entries = report.named_metrics().chain(report.utilization()).chain(report.request_cost());
            prop_assert!(entries.count() <= message.len());
        }
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_bytes(&message) {
            headers.insert(HEADER, value);
            let _ = Payload::from_headers(&headers);
        }
    }
}
