//! Stock gRPC in Python as client of our control-server.

use tests::python::{Calls, Python};

#[tokio::test]
async fn the_python_programs_talk_to_each_other() {
    let Some(python) = Python::find("plain") else { return };
    let server = python.server("e1", "v1", &["--fail-times", "2"]).await;
    let mut client = python.client(&server.address.to_string(), None).await;
    for (method, failed) in [("SayHello", 2), ("SayHellos", 0), ("GatherHellos", 0), ("Chat", 0)] {
        let report = client.call(Calls::new(10).method(method)).await;
        assert_eq!((report.calls, report.failed()), (10, failed), "{method}: {report:?}");
        assert_eq!(report.endpoints["e1"], 10 - failed, "{method}");
    }
    let report = client.call(Calls::new(3).metadata("rpc-behavior", "error-code-13")).await;
    assert_eq!(report.code("INTERNAL"), 3, "{report:?}");
    assert!(client.csds().await.is_empty());
}
