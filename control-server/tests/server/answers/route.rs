//! `meshctl route`: the client's own choice, with the rule behind each step.

use control_server::resources::ResourceKind::{Listener, Route};
use serde_json::Value;

use super::{SHOP, Shop, assert_snapshot};
use crate::support::Client;

#[tokio::test]
async fn route_names_the_rule_and_why_earlier_ones_do_not_match() {
    let shop = Shop::open(SHOP).await;
    let text = shop.prints(0, &["route", "orders.shop", "/shop.Orders/Get"]).await;
    let expected = "\
1. does not hold: x-tester is yes; there is none
   route testers, shop.yaml:42: VirtualService shop/orders: spec.http[0].match[0]
2. does not hold: path is /shop.Orders/Try
   route testers, shop.yaml:44: VirtualService shop/orders: spec.http[0].match[1]
3. takes the call: any path
   shop.yaml:46: VirtualService shop/orders: spec.http[1]
   90 of 100 to outbound|80|v1|orders.shop (1 endpoint)
   10 of 100 to outbound|80|v2|orders.shop (1 endpoint)
";
    assert_eq!(text, expected);
    let tester = ["route", "xds:///orders.shop", "shop.Orders/Get", "-H", "x-tester: yes"];
    let text = shop.prints(0, &tester).await;
    assert!(
        text.starts_with("1. takes the call: path starts with /shop.Orders/, x-tester is yes\n"),
        "{text}"
    );
    assert!(text.contains("   to outbound|80|v2|orders.shop (1 endpoint)\n"), "{text}");
    assert_snapshot("route", &shop.prints(0, &[&tester[..], &["-o", "json"]].concat()).await);
}

#[tokio::test]
async fn call_that_fails_has_its_own_exit_code() {
    let shop = Shop::open(SHOP).await;
    let text = shop.prints(3, &["route", "empty.shop", "/a.B/C"]).await;
    assert!(text.contains("1. takes the call: any path\n   route default, not of a rule\n"), "{text}");
    assert!(text.contains("(no endpoint: the call fails)"), "{text}");
    let error = shop.fails(1, &["route", "order.shop", "/a.B/C"]).await;
    assert!(error.contains("did you mean `orders.shop`?"), "{error}");
    let error = shop.fails(1, &["route", "orders.shop", "/a.B/C", "-H", "nothing"]).await;
    assert!(error.contains("expected NAME:VALUE"), "{error}");
}

/// gRPC hides some headers from rules.
#[tokio::test]
async fn headers_that_a_client_does_not_see_do_not_match() {
    let hidden = SHOP.replace("x-tester: {exact: \"yes\"}", "user-agent: {exact: \"yes\"}");
    let shop = Shop::open(&hidden).await;
    let question = ["route", "orders.shop", "/shop.Orders/Get", "-H", "user-agent: yes"];
    let grpc = shop.prints(0, &question).await;
    assert!(grpc.contains("1. does not hold: user-agent is yes; there is none"), "{grpc}");
    let http = shop.prints(0, &[&question[..], &["--http"]].concat()).await;
    assert!(http.starts_with("1. takes the call"), "{http}");
}

#[tokio::test]
async fn connected_client_is_asked_about_what_it_was_sent() {
    let shop = Shop::open(SHOP).await;
    let mut client = Client::connect_to(shop.running.xds_address()).await;
    client.ask(Listener, &["orders.shop"], "");
    let listener = client.message().await.unwrap().unwrap();
    client.answer(&listener, &["orders.shop"], None);
    let question = ["route", "orders.shop", "/a.B/C", "--client", "node-1"];
    let note = "note: the client was not sent rds outbound|80||orders.shop";
    let before = shop.prints(0, &question).await;
    assert!(before.contains(note), "{before}");
    client.ask(Route, &["outbound|80||orders.shop"], "");
    let routes = client.message().await.unwrap().unwrap();
    client.answer(&routes, &["outbound|80||orders.shop"], Some("not this one"));
    for _ in 0..3000 {
        let text = shop.prints(0, &question).await;
        if text.contains("has refused this version") {
            assert!(text.contains(": not this one\n") && !text.contains("was not sent rds"), "{text}");
            let json = shop.prints(0, &[&question[..], &["-o", "json"]].concat()).await;
            let json: Value = serde_json::from_str(&json).unwrap();
            assert_eq!(
                (&json["routes"]["state"], &json["listener"]["state"]),
                (&"ERROR".into(), &"SYNCED".into())
            );
            return;
        }
    }
    panic!("never refused");
}
