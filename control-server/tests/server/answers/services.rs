//! `meshctl services` and `meshctl endpoints`.

use serde_json::Value;

use super::{SHOP, Shop, assert_snapshot, words};

#[tokio::test]
async fn services_are_listed_as_a_client_is_served_them() {
    let shop = Shop::open(SHOP).await;
    let table = shop.prints(0, &["services"]).await;
    let rows = words(&table);
    assert_eq!(rows[0], ["SERVICE", "PORT", "ENDPOINTS", "SUBSETS", "ROUTES", "DECLARED"]);
    // payments.shop is exported to its own namespace only.
    assert_eq!(
        rows[1..],
        [
            &["empty.shop", "80", "0", "-", "1", "shop.yaml:69"][..],
            &["mail.example", "25", "DNS", "mail.example:25", "-", "1", "shop.yaml:60"],
            &["orders.shop", "80", "2", "v1", "1,", "v2", "1", "3", "shop.yaml:1"],
        ]
    );
    let own = shop.prints(0, &["services", "--namespace", "shop"]).await;
    let rows: Vec<Vec<&str>> = words(&own).into_iter().filter(|row| row.len() < 8).collect();
    assert!(rows.contains(&vec!["payments.shop", "81", "1", "-", "1", "shop.yaml:50"]), "{own}");
    assert!(rows.contains(&vec!["82", "1", "-", "1"]), "{own}");
    let wide = shop.prints(0, &["services", "-o", "wide"]).await;
    assert!(wide.contains("ROUTED BY") && wide.contains("shop.yaml:34"), "{wide}");
    assert_snapshot("services", &shop.prints(0, &["services", "-o", "json"]).await);
}

#[tokio::test]
async fn endpoints_name_the_object_that_declares_them() {
    let shop = Shop::open(SHOP).await;
    let table = shop.prints(0, &["endpoints", "orders.shop"]).await;
    let rows = words(&table);
    assert_eq!(
        rows[0],
        ["PORT", "SUBSET", "ENDPOINT", "LOCALITY", "PRIORITY", "WEIGHT", "HEALTH", "DECLARED"]
    );
    assert!(
        rows.contains(&vec!["80", "-", "10.0.0.1:50051", "eu/a/", "0", "3", "HEALTHY", "shop.yaml:13"]),
        "{table}"
    );
    assert!(
        rows.contains(&vec!["80", "v2", "10.0.0.2:50051", "eu/b/", "0", "1", "HEALTHY", "shop.yaml:18"]),
        "{table}"
    );
    assert!(table.contains("declared at shop.yaml:1: ServiceEntry shop/orders\n"), "{table}");
    assert!(table.contains("left out: 10.0.0.3"), "{table}");
    assert_snapshot(
        "endpoints",
        &shop.prints(0, &["endpoints", "xds:///orders.shop:80", "-o", "json"]).await,
    );
    let yaml = shop.prints(0, &["endpoints", "mail.example", "-o", "yaml"]).await;
    assert!(
        yaml.contains("host: mail.example\n") && yaml.contains("resolved: \"mail.example:25\"\n"),
        "{yaml}"
    );
}

#[tokio::test]
async fn service_without_an_endpoint_has_its_own_exit_code() {
    let shop = Shop::open(SHOP).await;
    let table = shop.prints(3, &["endpoints", "empty.shop"]).await;
    assert!(table.contains("none: calls fail"), "{table}");
}

#[tokio::test]
async fn unknown_services_are_errors_with_near_names() {
    let shop = Shop::open(SHOP).await;
    let error = shop.fails(1, &["endpoints", "order.shop"]).await;
    assert!(error.contains("no service order.shop is declared; did you mean `orders.shop`?"), "{error}");
    let hidden = shop.fails(1, &["endpoints", "payments.shop", "--namespace", "other"]).await;
    assert!(hidden.contains("payments.shop is there for other clients"), "{hidden}");
    let client = shop.fails(1, &["services", "--client", "who"]).await;
    assert!(client.contains("no client \"who\" is connected"), "{client}");
    let labels = shop.fails(1, &["services", "--labels", "app"]).await;
    assert!(labels.contains("expected name=value"), "{labels}");
    assert_eq!(shop.meshctl(&["services", "--client", "a", "--namespace", "b"]).await.status.code(), Some(2));
}

#[tokio::test]
async fn yaml_has_the_fields_of_the_json() {
    let shop = Shop::open(SHOP).await;
    for command in [&["services"][..], &["endpoints", "orders.shop"], &["clients"], &["resources"]] {
        let json: Value =
            serde_json::from_str(&shop.prints(0, &[command, &["-o", "json"]].concat()).await).unwrap();
        let yaml: Value =
            serde_saphyr::from_str(&shop.prints(0, &[command, &["-o", "yaml"]].concat()).await).unwrap();
        assert_eq!(yaml, json, "{command:?}");
    }
}
