//! The demo, as a newcomer runs it.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

#[test]
fn demo_succeeds_and_ends_its_processes() {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_demo"))
        .args(["--json", "--rate", "500"])
        .env("TMPDIR", home.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let summary: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert!(output.status.success(), "{summary:#}");
    assert_eq!(summary["failed"], 0, "{summary:#}");
    assert!(summary["requests"].as_u64() > Some(10_000), "{summary:#}");
    assert_eq!(summary["phases"].as_array().map(Vec::len), Some(7), "{summary:#}");
    assert!(summary["seconds"].as_f64() < Some(Duration::from_secs(60).as_secs_f64()), "{summary:#}");
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "files are left");
}
