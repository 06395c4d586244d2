//! The example of a load-balancing policy, as a newcomer runs it.

use std::process::Command;

#[test]
fn custom_balancer_calls_the_heaviest_endpoint_that_is_there() {
    let output = Command::new(env!("CARGO_BIN_EXE_custom-balancer")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "heavy answers\nmiddle answers\n");
}
