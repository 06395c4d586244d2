//! The comparison of neighbours runs and reports; what it measures depends on the machine.

use std::process::Command;

#[test]
fn neighbours_reports_failures_and_times_of_each_client() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_neighbours")).args(["--seconds", "1", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = report["rows"].as_array().unwrap();
    let peers: Vec<_> = rows.iter().map(|row| row["peer"].as_str().unwrap()).collect();
    assert_eq!(peers, ["tonic Channel", "MeshChannel"]);
    for row in rows {
        assert_eq!(row["calls"], 1_000);
        assert_eq!(row["failed_alone"], 0, "{row}");
        assert!(row["failed"].is_u64() && row["p99_ratio"].as_f64().unwrap() > 0.0, "{row}");
    }
}
