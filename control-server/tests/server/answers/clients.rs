//! `meshctl clients`: which client is which, and what it asks for in vain.

use control_server::discovery::SyncState;
use control_server::resources::ResourceKind::Listener;
use serde_json::Value;

use super::{SHOP, Shop};
use crate::support::Client;

/// Waits until the clients have this state.
async fn wait_for(shop: &Shop, count: usize, state: SyncState) {
    for _ in 0..3000 {
        let clients = shop.running.registry().clients();
        if clients.len() == count && clients.iter().all(|client| client.state == state) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("still {:#?}", shop.running.registry().clients());
}

async fn client_of(shop: &Shop, names: &[&str]) -> Client {
    let mut client = Client::connect_to(shop.running.xds_address()).await;
    client.ask(Listener, names, "");
    let response = client.message().await.unwrap().unwrap();
    client.answer(&response, names, None);
    client
}

#[tokio::test]
async fn name_that_does_not_exist_is_missing_with_a_near_name() {
    let shop = Shop::open(SHOP).await;
    let _client = client_of(&shop, &["order.shop", "payments.shop"]).await;
    wait_for(&shop, 1, SyncState::Missing).await;
    let table = shop.prints(0, &["clients"]).await;
    assert!(table.lines().nth(1).unwrap().contains(" MISSING "), "{table}");
    let remark = "node-1: lds asked for, not in the configuration: order.shop (did you mean orders.shop?), \
                  payments.shop (exported to other clients only)\n";
    assert!(table.contains(remark), "{table}");
    let json: Value = serde_json::from_str(&shop.prints(0, &["clients", "-o", "json"]).await).unwrap();
    assert_eq!(json["clients"][0]["state"], "MISSING");
    assert_eq!(json["clients"][0]["types"][0]["near"]["order.shop"], "orders.shop");
    let status = shop.prints(0, &["status"]).await;
    assert!(status.contains("1 stream of 1 node: 0 synced, 1 missing, 0 pending, 0 nacked"), "{status}");
}

#[tokio::test]
async fn processes_of_one_node_are_told_apart() {
    let shop = Shop::open(SHOP).await;
    let _clients = [client_of(&shop, &["orders.shop"]).await, client_of(&shop, &["orders.shop"]).await];
    wait_for(&shop, 2, SyncState::Synced).await;
    let table = shop.prints(0, &["clients"]).await;
    assert!(table.contains("node-1: 2 streams have this node; `meshctl clients node-1` tells"), "{table}");
    let status = shop.prints(0, &["status"]).await;
    assert!(status.contains("2 streams of 1 node: 2 synced"), "{status}");

    let details = shop.prints(0, &["clients", "node-1"]).await;
    let peers: Vec<&str> = details.lines().filter(|line| line.starts_with("peer ")).collect();
    assert_eq!(peers.len(), 2, "{details}");
    assert_ne!(peers[0], peers[1], "{details}");
    let first = shop.running.registry().clients()[0].id.to_string();
    let one = shop.prints(0, &["clients", &first]).await;
    assert_eq!(one.lines().filter(|line| line.starts_with("peer ")).count(), 1, "{one}");
    assert!(one.contains("SYNCED for ") && one.contains(": orders.shop\n"), "{one}");

    let unknown = shop.fails(1, &["clients", "node-2"]).await;
    assert!(unknown.contains("no client \"node-2\" is connected; did you mean `node-1`?"), "{unknown}");
}

#[tokio::test]
async fn wide_table_has_process_and_identity() {
    let shop = Shop::open(SHOP).await;
    let _client = client_of(&shop, &["orders.shop"]).await;
    wait_for(&shop, 1, SyncState::Synced).await;
    let wide = shop.prints(0, &["clients", "-o", "wide"]).await;
    for column in ["STREAM", "PROCESS", "LOCALITY", "SECURITY", " plaintext "] {
        assert!(wide.contains(column), "{column}: {wide}");
    }
}
