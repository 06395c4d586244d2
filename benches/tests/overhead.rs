//! The comparison with tonic, in small: its rows, and that a call with every policy allocates no more than one through tonic.

use std::process::Command;

use serde_json::{Value, json};

/// Allocations are the same on any machine; ratios of CPU time want a quiet one and an optimized build.
#[test]
fn call_with_every_policy_allocates_no_more_than_tonic() {
    let output = Command::new(env!("CARGO_BIN_EXE_overhead"))
        .args(["--json", "--rounds", "1", "--calls", "200", "--in-flight", "1,4", "--threads", "2"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = report["rows"].as_array().unwrap();
    let mut expected = Vec::new();
    for in_flight in [1, 4] {
        for (endpoints, tonic) in [(1, "tonic Channel"), (4, "tonic balance_list")] {
            expected.push(json!([tonic, endpoints, in_flight, 2, "none"]));
            expected.push(json!(["MeshChannel", endpoints, in_flight, 2, "none"]));
            expected.push(json!(["MeshChannel", endpoints, in_flight, 2, "all"]));
        }
    }
    let fields = ["peer", "endpoints", "in_flight", "threads", "policies"];
    let found = rows.iter().map(|row| Value::from(fields.map(|field| row[field].clone()).to_vec()));
    assert_eq!(found.collect::<Vec<_>>(), expected);
    for row in rows.iter().filter(|row| row["policies"] == "all") {
        assert!(row["allocations_ratio"].as_f64().unwrap() <= 1.0, "{row:#}");
    }
}
