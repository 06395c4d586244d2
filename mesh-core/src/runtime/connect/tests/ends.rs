use super::peer::{END_STREAM, GOAWAY, HEADERS, OK, Peer, RST_STREAM, bytes_of, header_frames};
use super::*;

#[tokio::test]
async fn dropping_a_call_or_a_response_cancels_it() {
    let server = Server::start().await;
    let Established { connection, .. } = connect(server.address).await;
    let pending = tokio::spawn(connection.send(call("/silence", body("hello"))));
    eventually("the call arrives", || Counts::of(&server.counts.calls) == 1).await;
    pending.abort();
    eventually("the call is cancelled", || Counts::of(&server.counts.cancelled) == 1).await;

    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let (feed, _, request) = channel();
    feed.send(Bytes::from_static(b"one")).unwrap();
    let response = connection.send(call("/echo", request)).await.unwrap();
    assert_eq!(connection.calls(), 1);
    drop(response);
    eventually("the response is cancelled", || Counts::of(&server.counts.cancelled) == 2).await;
    eventually("the pipe ends", || feed.is_closed()).await;
    eventually("no task is left", || tokio::runtime::Handle::current().metrics().num_alive_tasks() <= tasks)
        .await;
    assert_eq!(connection.calls(), 0);
    assert_eq!(get(&connection, "/echo", "hello").await.0, "hello", "the connection lives on");
}

#[tokio::test]
async fn reset_codes_are_distinguished() {
    let server = Server::start().await;
    let Established { connection, .. } = connect(server.address).await;
    let rows = [("/refuse", SendErrorKind::Refused, Some(7)), ("/reset", SendErrorKind::Reset(2), Some(2))];
    for (path, expected, code) in rows {
        let failure = connection.send(call(path, body("hello"))).await.unwrap_err();
        assert_eq!((failure.error.kind(), failure.error.h2_code()), (expected, code), "{path}");
        // RT-45
        assert_eq!(failure.unread.is_some(), failure.error.kind() == SendErrorKind::Refused);
    }
}

#[tokio::test]
async fn lost_connection_fails_running_calls_and_gives_new_ones_back() {
    let server = Server::start().await;
    let Established { connection, closed } = connect(server.address).await;
    let running = tokio::spawn(connection.send(call("/silence", body("hello"))));
    let response = connection.send(call("/head", body("hello"))).await.unwrap();
    eventually("the calls arrive", || Counts::of(&server.counts.calls) == 2).await;
    server.hang_up();
    closed.await;
    assert!(!Connection::is_open(&connection));
    assert_eq!(kind(running.await.unwrap()), Some(SendErrorKind::Closed));
    assert_eq!(response.into_body().collect().await.unwrap_err().h2_code(), None);
    let failure = connection.send(call("/echo", body("again"))).await.unwrap_err();
    assert_eq!(failure.error.kind(), SendErrorKind::NotSent);
    let unread = failure.unread.unwrap().body;
    assert!(unread.read.is_empty());
    assert_eq!(unread.rest.unwrap().collect().await.unwrap().to_bytes(), "again");
}

#[tokio::test]
async fn goaway_takes_the_connection_out_and_lets_calls_finish() {
    let server = Server::start().await;
    let Established { connection, closed } = connect(server.address).await;
    let (feed, _, request) = channel();
    feed.send(Bytes::from_static(b"one")).unwrap();
    let response = connection.send(call("/echo", request)).await.unwrap();
    server.drain();
    let reason = closed.await;
    assert_eq!(reason, DisconnectReason::GoAway(0));
    assert_eq!(reason.to_string(), "GOAWAY NO_ERROR");
    assert!(!Connection::is_open(&connection));
    assert_eq!(kind(connection.send(call("/echo", body(""))).await), Some(SendErrorKind::NotSent));
    feed.send(Bytes::from_static(b"two")).unwrap();
    drop(feed);
    let collected = response.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(collected.to_bytes(), "onetwo");
    eventually("the connection is closed", || server.open() == 0).await;
}

#[tokio::test]
async fn calls_beyond_the_goaway_are_refused() {
    let address = raw(|mut io| async move {
        io.write_all(SETTINGS).await.unwrap();
        let mut received = vec![0; 1 << 16];
        let mut seen = 0;
        // The preface and SETTINGS are less than this, with HEADERS and DATA it is more.
        while seen < 24 + 150 {
            seen += io.read(&mut received).await.unwrap();
        }
        // GOAWAY of 8 bytes on stream 0: last stream 0, ENHANCE_YOUR_CALM.
        io.write_all(&[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11]).await.unwrap();
        while io.read(&mut received).await.is_ok_and(|count| count > 0) {}
    })
    .await;
    let Established { connection, closed } = connect(address).await;
    let failure = connection.send(call("/echo", body(vec![0; 200]))).await.unwrap_err();
    assert_eq!(failure.error.kind(), SendErrorKind::Refused);
    let unread = failure.unread.unwrap().body;
    assert_eq!(unread.read, [vec![0; 200]], "it can be sent again");
    assert!(unread.rest.is_none_or(|rest| rest.is_end_stream()));
    assert_eq!(closed.await.to_string(), "GOAWAY ENHANCE_YOUR_CALM");
}

#[tokio::test]
async fn connection_ends_with_its_last_handle_and_call() {
    let server = Server::start().await;
    let Established { connection, closed } = connect(server.address).await;
    let (feed, _, request) = channel();
    let response = connection.send(call("/echo", request)).await.unwrap();
    drop(connection);
    let mut response = response.into_body();
    for chunk in ["one", "two"] {
        feed.send(Bytes::from_static(chunk.as_bytes())).unwrap();
        assert_eq!(response.frame().await.unwrap().unwrap().into_data().unwrap(), chunk, "the call goes on");
    }
    drop(feed);
    response.collect().await.unwrap();
    eventually("the connection is closed", || server.open() == 0).await;
    assert_eq!(closed.await, DisconnectReason::Shutdown);
}

/// M6: an endpoint that begins to say GOAWAY takes no more calls, whether it goes on or not.
#[tokio::test]
async fn head_of_a_goaway_takes_the_connection_out() {
    for bytes in [9, 13, 17] {
        let (Established { connection, closed }, mut peer) =
            Peer::connect(Http2Settings::default(), &[]).await;
        let running = tokio::spawn(connection.send(call("/any", body(""))));
        peer.drain().await;
        peer.write(&[0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0][..bytes]).await;
        let expected = if bytes == 17 { DisconnectReason::GoAway(0) } else { DisconnectReason::Unknown };
        assert_eq!(closed.await, expected, "{bytes} bytes");
        assert!(matches!(connection.reserve(), Reserve::Closed), "{bytes} bytes");
        assert!(!running.is_finished(), "{bytes} bytes: what runs goes on");
    }
}

/// C1: the connection's end is known before the caller has read the response that comes with it. One that has served is
/// connected again without a pause.
#[tokio::test]
async fn connection_that_ends_in_good_order_has_served() {
    let goaway = |last: u32, code: u32| {
        let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
        bytes_of(GOAWAY, 0, 0, &payload)
    };
    let response = || header_frames(END_STREAM, 1, OK);
    let rows = [
        ("response, then GOAWAY", [response(), goaway(u32::MAX >> 1, 0)].concat(), true),
        ("GOAWAY, then the response", [goaway(1, 0), response()].concat(), true),
        ("GOAWAY, and the response is to come", goaway(u32::MAX >> 1, 0), true),
        ("response, then GOAWAY of an error", [response(), goaway(1, 2)].concat(), true),
        ("the call is not processed", goaway(0, 0), false),
        ("GOAWAY of an error", goaway(1, 2), false),
    ];
    for (name, bytes, expected) in rows {
        let (Established { connection, closed }, mut peer) =
            Peer::connect(Http2Settings::default(), &[]).await;
        let call = connection.send(call("/any", body("")));
        assert_eq!(peer.expect(HEADERS).await.stream, 1);
        assert!(!connection.has_served(), "{name}");
        peer.write(&bytes).await;
        closed.await;
        assert_eq!(connection.has_served(), expected, "{name}");
        drop(call);
    }
}

/// Some bodies panic when they are polled after their end.
struct OnePiece(Option<Bytes>, bool);

impl Body for OnePiece {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
        let piece = self.0.take();
        if piece.is_none() {
            assert!(!std::mem::replace(&mut self.1, true), "polled after its end");
        }
        std::task::Poll::Ready(piece.map(|piece| Ok(http_body::Frame::data(piece))))
    }
}

/// M7: of a body that has ended nothing is left to be polled.
#[tokio::test]
async fn request_body_is_not_polled_after_its_end() {
    let (Established { connection, .. }, mut peer) = Peer::connect(Http2Settings::default(), &[]).await;
    let request = OnePiece(Some(Bytes::from_static(b"hello")), false).boxed_unsync();
    let request = tokio::spawn(connection.send(call("/any", request)));
    let stream = peer.expect(HEADERS).await.stream;
    peer.drain().await;
    peer.send(RST_STREAM, 0, stream, &7_u32.to_be_bytes()).await;
    let failure = request.await.unwrap().unwrap_err();
    assert_eq!(failure.error.kind(), SendErrorKind::Refused);
    let unread = failure.unread.unwrap().body;
    assert_eq!((unread.read.into(), unread.rest.is_none()), (vec![Bytes::from_static(b"hello")], true));
}

/// Item 4 of the issue: a channel whose runtime has ended fails its calls at once, and says why.
#[tokio::test]
async fn connection_of_a_runtime_that_has_ended_fails_calls_at_once() {
    let server = Server::start().await;
    let address = server.address;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let begin = async move {
        let Established { connection, .. } = connect(address).await;
        let running = connection.send(call("/silence", body("hello")));
        let response = connection.send(call("/head", body("hello"))).await.unwrap();
        (connection, running, response)
    };
    let (connection, running, response) = runtime.spawn(begin).await.unwrap();
    runtime.shutdown_background();
    let failure = running.await.unwrap_err();
    assert_eq!(failure.error.kind(), SendErrorKind::Closed);
    assert!(failure.error.cause().to_string().contains("its runtime has ended"));
    let error = response.into_body().collect().await.unwrap_err();
    assert!(error.cause().to_string().contains("its runtime has ended"), "{}", error.cause());
    assert!(matches!(connection.reserve(), Reserve::Closed));
}
