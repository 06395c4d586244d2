//! The example of a filter, as a newcomer runs it.

use std::process::Command;

#[test]
fn custom_filter_lets_calls_pass_and_refuses_claims() {
    let output = Command::new(env!("CARGO_BIN_EXE_custom-filter"))
        .env_remove("GRPC_XDS_BOOTSTRAP")
        .env_remove("GRPC_XDS_BOOTSTRAP_CONFIG")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    let expected = "hello you\nPermissionDenied: x-team is set by the mesh, not by callers of greeter\n";
    assert_eq!(text, expected);
}
