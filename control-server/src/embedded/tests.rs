use std::time::Duration;

use mesh_core::runtime::ConfigSource as _;
use xds_client::bootstrap::ServerFeatures;

use super::*;

const SERVICE: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: orders, namespace: shop}
spec:
  hosts: [orders.shop]
  resolution: STATIC
  ports: [{number: 80, name: grpc}]
  endpoints: [{address: 10.0.0.1}]
";

#[tokio::test]
async fn configuration_comes_in_both_variants_and_everything_ends_with_the_client() {
    for incremental_xds in [false, true] {
        let pipeline = Pipeline::of_text("text", SERVICE, LoadReporting::Off).unwrap();
        let mut state = pipeline.state();
        let (transport, server) = pair();
        let task = tokio::spawn(serve(pipeline, server));
        let mut features = ServerFeatures::default();
        features.incremental_xds = incremental_xds;
        let server = ServerConfig::insecure(SERVER).with_features(features);
        let bootstrap = Bootstrap::builder().server(server).node_id("embedded").build().unwrap();
        let client = start_with(bootstrap, transport, Options::default()).unwrap();
        let target = client.bootstrap().target("xds:///orders.shop").unwrap();
        let mut watch = client.watch(&target).unwrap();
        let patience = Duration::from_secs(20);
        let configured = async {
            while !matches!(watch.borrow_and_update().config, Some(Ok(_))) {
                watch.changed().await;
            }
        };
        tokio::time::timeout(patience, configured).await.expect("no configuration");

        drop((watch, client));
        tokio::time::timeout(patience, task).await.expect("still served").unwrap();
        let ended = async { while state.changed().await.is_ok() {} };
        tokio::time::timeout(patience, ended).await.expect("the thread still runs");
    }
}
