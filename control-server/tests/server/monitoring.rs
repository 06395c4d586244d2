//! The rules, the scrape configuration and the board in `docs/monitoring`: what they name is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use control_server::state::ObjectStatus;
use serde_json::Value;

use crate::load_reports::Reporter;
use crate::support::Fixture;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/monitoring")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}

/// Every metric of the server that a text names.
fn named(text: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = text.split(|letter| !is_part(letter));
    words.filter(|word| word.starts_with("control_server_")).map(str::to_owned).collect()
}

/// The names of all samples of a server with an object and a client that reports load.
async fn exported() -> BTreeSet<String> {
    let fixture = Fixture::with(&["cds a=1"]).await;
    fixture.sync_with(vec![ObjectStatus {
        kind: "ServiceEntry".to_owned(),
        namespace: "shop".to_owned(),
        name: "a".to_owned(),
        file: "a.yaml".to_owned(),
        line: 1,
        stale: false,
    }]);
    let mut reporter = Reporter::connect(&fixture, &[]).await.unwrap();
    reporter.asked().await;
    reporter.report("a", 100);
    let mut text = String::new();
    for _ in 0..1000 {
        text = fixture.text("/metrics").await;
        if text.contains("control_server_load_calls_in_progress{") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut names = BTreeSet::new();
    for (name, kind) in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')) {
        let suffixes: &[&str] = match kind {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_sum", "_count"],
            "info" => &["_info"],
            _ => &[""],
        };
        names.extend(suffixes.iter().map(|suffix| format!("{name}{suffix}")));
    }
    names
}

#[tokio::test]
async fn every_metric_of_the_monitoring_files_is_exported() {
    let exported = exported().await;
    for file in ["rules.yaml", "prometheus.yaml", "grafana-dashboard.json", "README.md", "../admin-api.md"] {
        let missing: Vec<_> = named(&read(file)).difference(&exported).cloned().collect();
        let missing: Vec<_> = missing.iter().filter(|name| *name != "control_server_").collect();
        assert!(missing.is_empty(), "{file} names {missing:?}, exported are {exported:#?}");
    }
    assert!(named(&read("rules.yaml")).len() > 8 && named(&read("grafana-dashboard.json")).len() > 10);
}

#[test]
fn every_alert_is_explained() {
    let rules = read("rules.yaml");
    let alerts: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 10);
    let readme = read("README.md");
    for alert in alerts {
        assert!(readme.contains(&format!("`{alert}`")), "{alert} is not in docs/monitoring/README.md");
    }
}

#[test]
fn board_has_panels_with_distinct_ids_and_queries() {
    let board: Value = serde_json::from_str(&read("grafana-dashboard.json")).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    for panel in panels {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty() && targets.iter().all(|target| target["expr"].is_string()), "{panel}");
    }
}

/// Needs Debian's `prometheus` package, or another `promtool`; says so where there is none.
#[test]
fn promtool_accepts_rules_and_configuration() {
    for (check, file) in [("rules", "rules.yaml"), ("config", "prometheus.yaml")] {
        let output = Command::new("promtool").args(["check", check]).arg(folder().join(file)).output();
        let Ok(output) = output else {
            eprintln!("!!! {file} NOT CHECKED: promtool is missing (Debian: prometheus)");
            return;
        };
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "promtool check {check} {file}:\n{said}");
    }
}
