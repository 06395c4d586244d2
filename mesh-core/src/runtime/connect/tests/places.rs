use super::*;

#[tokio::test]
async fn calls_wait_while_the_endpoint_takes_no_more() {
    let server = Server::with_limit(Some(1)).await;
    let Established { connection, .. } = connect(server.address).await;
    assert_eq!(connection.max_concurrent_streams(), 1);
    let (feed, _, request) = channel();
    let first = connection.send(call("/echo", request)).await.unwrap();
    let second = tokio::spawn({
        let connection = connection.clone();
        async move { get(&connection, "/echo", "second").await.0 }
    });
    drop(feed);
    first.into_body().collect().await.unwrap();
    assert_eq!(second.await.unwrap(), "second");
}
