use super::*;

#[tokio::test]
async fn unary_call_returns_body_and_trailers() {
    let server = Server::start().await;
    let Established { connection, .. } = connect(server.address).await;
    let (data, trailers) = get(&connection, "/echo", "hello").await;
    assert_eq!(data, "hello");
    assert_eq!(trailers.unwrap()["grpc-status"], "0");
    assert_eq!(get(&connection, "/echo", "").await.0, "", "a body without data");
    assert_eq!(connection.calls(), 0);
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn request_trailers_are_sent() {
    let server = Server::start().await;
    let Established { connection, .. } = connect(server.address).await;
    let mut trailers = http::HeaderMap::new();
    trailers.insert("x-sum", "7".parse().unwrap());
    let frames = [http_body::Frame::data(Bytes::from_static(b"x")), http_body::Frame::trailers(trailers)];
    let stream = futures_util::stream::iter(frames.map(Ok));
    let request = call("/echo", StreamBody::new(stream).boxed_unsync());
    let collected = connection.send(request).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["x-sum"], "7");
}

#[tokio::test]
async fn response_without_a_body_is_at_its_end_from_the_beginning() {
    let server = Server::start().await;
    let Established { connection, .. } = connect(server.address).await;
    let response = connection.send(call("/trailers-only", body(""))).await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "5");
    assert!(response.body().is_end_stream());
    assert_eq!(response.body().size_hint().exact(), Some(0));
    assert_eq!(connection.calls(), 0, "nothing is left to wait for");

    let response = connection.send(call("/sized", body(""))).await.unwrap();
    assert!(!response.body().is_end_stream());
    assert_eq!(response.body().size_hint().exact(), Some(5));
}

#[tokio::test]
async fn ten_mebibytes_flow_both_ways() {
    let server = Server::start().await;
    let Established { connection, .. } = connect(server.address).await;
    let (feed, _, request) = channel();
    let data: Vec<Bytes> = (0..160_u8).map(|byte| Bytes::from(vec![byte; 64 << 10])).collect();
    data.iter().for_each(|chunk| feed.send(chunk.clone()).unwrap());
    drop(feed);
    let response = connection.send(call("/echo", request)).await.unwrap();
    let echoed = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(echoed.len(), 10 << 20);
    assert!(echoed.chunks(64 << 10).zip(&data).all(|(echoed, sent)| echoed == sent));

    let whole = Bytes::from(vec![1; 10 << 20]);
    let response = connection.send(call("/length", body(whole))).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), (10 << 20).to_string());
}

#[tokio::test]
async fn upload_waits_for_the_endpoint() {
    let server = Server::start().await;
    let Established { connection, .. } = connect(server.address).await;
    let (feed, taken, request) = channel();
    (0..1_000).for_each(|_| feed.send(Bytes::from(vec![0; 16 << 10])).unwrap());
    let pending = tokio::spawn(connection.send(call("/silence", request)));
    eventually("the call arrives", || Counts::of(&server.counts.calls) == 1).await;
    let mut last = 0;
    eventually("the upload stops", || std::mem::replace(&mut last, Counts::of(&taken)) == Counts::of(&taken))
        .await;
    // The endpoint's window is 64 KiB; one chunk is on hold and one on its way.
    assert!(Counts::of(&taken) <= 8, "{} chunks are in memory", Counts::of(&taken));
    pending.abort();
}

#[tokio::test]
async fn response_waits_for_its_reader() {
    let server = Server::start().await;
    let Established { connection, .. } = connect(server.address).await;
    let response = connection.send(call("/flood", body(""))).await.unwrap();
    let window = Http2Settings::default().stream_window as usize;
    eventually("the window is full", || Counts::of(&server.counts.sent) >= window).await;
    let sent = Counts::of(&server.counts.sent);
    assert!(sent <= window + (64 << 10), "{sent} bytes without a reader");
    let mut response = response.into_body();
    let mut read = 0;
    while read < window * 2 {
        read += response.frame().await.unwrap().unwrap().into_data().unwrap().len();
    }
    // A slow reader of one call does not stop another one.
    assert_eq!(get(&connection, "/echo", "hello").await.0, "hello");
}

#[tokio::test]
async fn request_continues_after_head_of_unread_response() {
    let server = Server::start().await;
    let Established { connection, .. } = connect(server.address).await;
    let (feed, taken, request) = channel();
    feed.send(Bytes::from_static(b"one")).unwrap();
    let response = connection.send(call("/echo", request)).await.unwrap();
    feed.send(Bytes::from_static(b"two")).unwrap();
    eventually("the second chunk is taken", || Counts::of(&taken) == 2).await;
    eventually("the second chunk arrives", || Counts::of(&server.counts.sent) == 6).await;
    let mut response = response.into_body();
    let first = response.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "one");
    drop(feed);
    let rest = response.collect().await.unwrap();
    assert_eq!(rest.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(rest.to_bytes(), "two");
}

#[tokio::test]
async fn early_response_stops_the_request_and_is_whole() {
    let server = Server::start().await;
    let Established { connection, .. } = connect(server.address).await;
    let (feed, _, request) = channel();
    (0..100).for_each(|_| feed.send(Bytes::from(vec![0; 64 << 10])).unwrap());
    let response = connection.send(call("/early", request)).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "enough");
    eventually("the request's body is dropped", || feed.is_closed()).await;
}

#[tokio::test]
async fn failing_request_body_cancels_the_call() {
    let server = Server::start().await;
    let Established { connection, .. } = connect(server.address).await;
    let frames =
        [Ok(http_body::Frame::data(Bytes::from_static(b"x"))), Err(std::io::Error::other("no more"))];
    let request = call("/silence", StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync());
    let failure = connection.send(request).await.unwrap_err();
    assert_eq!(failure.error.kind(), SendErrorKind::Body);
    assert_eq!(failure.error.cause().to_string(), "no more");
    assert_eq!(get(&connection, "/echo", "hello").await.0, "hello");
}
