//! What the access log says of calls.

use examples::greeter::greeter_client::GreeterClient;
use mesh_core::observe::AccessLog;
use tonic::Code;

use crate::call_metrics::{asking, channel, hello};
use crate::logs::{Log, subscribe};
use crate::server_metrics::serve;

#[tokio::test]
async fn client_and_server_log_each_call() {
    let log = Log::default();
    let _subscribed = subscribe(&log);
    let address = serve(AccessLog::new()).await;
    let mut client = GreeterClient::new(channel(AccessLog::new(), address, 4));
    client.say_hello(asking("error-code-14,succeed-on-retry-attempt-1")).await.unwrap();
    let endpoint = format!("endpoint={address}");
    let method = r#"method="mesh.examples.v1.Greeter/SayHello""#;
    let sent = r#"mesh::access: call side="client" target="xds:///greeter""#;
    log.tells(&[sent, method, r#"status="OK" duration_us="#, r#"attempts=2 cluster="shop""#, &endpoint])
        .await;
    let served = r#"mesh::access: call side="server""#;
    for status in [r#"status="UNAVAILABLE""#, r#"status="OK""#] {
        log.tells(&[served, method, status, "sent=", "received=", "client=127.0.0.1:", "left_out=0"]).await;
    }
}

#[tokio::test]
async fn access_log_has_failures_only_if_that_is_asked_for() {
    let log = Log::default();
    let _subscribed = subscribe(&log);
    let failures = || AccessLog::new().sampled(0.0).with_all_failures();
    let address = serve(failures()).await;
    let mut client = GreeterClient::new(channel(failures(), address, 1));
    client.say_hello(hello()).await.unwrap();
    let error = client.say_hello(asking("error-code-5")).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    for side in [r#"side="client""#, r#"side="server""#] {
        log.tells(&[side, r#"status="NOT_FOUND""#]).await;
    }
    let calls: Vec<_> = log.lines().into_iter().filter(|line| line.contains("mesh::access")).collect();
    assert_eq!(calls.len(), 2, "{calls:#?}");
}
