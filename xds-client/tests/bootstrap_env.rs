//! The bootstrap of a real process: each case runs this test program again with other variables.

use std::process::Command;

use xds_client::bootstrap::{Bootstrap, ServerConfig};

/// Set for the process within the test; names a file that it may overwrite.
const INNER: &str = "XDS_CLIENT_TEST_SECOND_FILE";

fn json(uri: &str) -> String {
    format!(r#"{{"xds_servers": [{{"server_uri": "{uri}", "channel_creds": [{{"type": "insecure"}}]}}]}}"#)
}

/// Runs `test` of this program in a process with these variables.
fn run(test: &str, variables: &[(&str, &str)]) {
    let program = std::env::current_exe().expect("a running program has a path");
    let output = Command::new(program)
        .args(["--exact", test, "--nocapture"])
        .env_remove("GRPC_XDS_BOOTSTRAP")
        .env_remove("GRPC_XDS_BOOTSTRAP_CONFIG")
        .envs(variables.iter().copied())
        .output()
        .expect("the program that runs now can be run again");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Proves: BS-06.
#[test]
fn environment_is_read_once_per_process() {
    let name = "environment_is_read_once_per_process";
    match std::env::var(INNER) {
        Err(_) => {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), json("first:1")).unwrap();
            let path = file.path().to_str().unwrap();
            run(name, &[("GRPC_XDS_BOOTSTRAP", path), (INNER, path)]);
        }
        Ok(path) => {
            let first = Bootstrap::from_env().unwrap();
            assert_eq!(first.servers()[0].uri(), "first:1");
            std::fs::write(path, json("second:1")).unwrap();
            assert_eq!(Bootstrap::from_env().unwrap(), first);
        }
    }
}

/// Proves: BS-04.
#[test]
fn explicit_bootstrap_then_path_then_inline_json() {
    let name = "explicit_bootstrap_then_path_then_inline_json";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), json("path:1")).unwrap();
    let path = file.path().to_str().unwrap();
    match std::env::var(INNER) {
        Err(_) => {
            let inline = json("inline:1");
            let both =
                [("GRPC_XDS_BOOTSTRAP", path), ("GRPC_XDS_BOOTSTRAP_CONFIG", &inline), (INNER, "path:1")];
            run(name, &both);
            run(name, &[("GRPC_XDS_BOOTSTRAP_CONFIG", &inline), (INNER, "inline:1")]);
        }
        Ok(expected) => {
            let explicit = Bootstrap::builder().server(ServerConfig::insecure("code:1")).build().unwrap();
            assert_eq!(explicit.servers()[0].uri(), "code:1");
            assert_eq!(Bootstrap::from_json(&json("json:1")).unwrap().servers()[0].uri(), "json:1");
            assert_eq!(Bootstrap::from_env().unwrap().servers()[0].uri(), expected);
        }
    }
}
