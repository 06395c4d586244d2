//! What one call does to the others on its connection.

use super::peer::{
    DATA, END_HEADERS, END_STREAM, HEADERS, MAX_HEADER_LIST_SIZE, OK, Peer, RST_STREAM, begin, bytes_of,
    field, header_frames, neighbour_is_served,
};
use super::*;

/// H1: an unread response does not delay other calls.
#[tokio::test]
async fn unread_responses_do_not_hold_up_others() {
    let server = Server::start().await;
    let Established { connection, .. } = connect(server.address).await;
    let mut unread = Vec::new();
    for _ in 0..8 {
        unread.push(connection.send(call("/flood", body(""))).await.unwrap());
    }
    let all = unread.len() * Http2Settings::default().stream_window as usize;
    eventually("all windows are full", || Counts::of(&server.counts.sent) >= all).await;
    assert_eq!(get(&connection, "/echo", "hello").await.0, "hello");
}

/// So many DATA frames of 14 bytes, the size of a gRPC message of 9.
fn small_frames(stream: u32, frames: usize) -> Vec<u8> {
    bytes_of(DATA, 0, stream, &[7; 14]).repeat(frames)
}

/// H2: what is within the window is within every limit.
#[tokio::test]
async fn twenty_thousand_small_frames_wait_for_their_reader() {
    let (Established { connection, .. }, mut peer) = Peer::connect(Http2Settings::default(), &[]).await;
    let (response, stream) = begin(&connection, &mut peer).await;
    peer.write(&small_frames(stream, 20_000)).await;
    neighbour_is_served(&connection, &mut peer).await;
    peer.send(DATA, END_STREAM, stream, &[]).await;
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 20_000 * 14);
}

#[tokio::test]
async fn reader_that_is_too_far_behind_learns_which_limit_it_was() {
    let settings = Http2Settings { max_unread_frames: 2_000, ..Http2Settings::default() };
    let (Established { connection, .. }, mut peer) = Peer::connect(settings, &[]).await;
    for _ in 0..3 {
        let (response, stream) = begin(&connection, &mut peer).await;
        peer.write(&small_frames(stream, 5_000)).await;
        let reset = peer.expect(RST_STREAM).await;
        assert_eq!(reset.stream, stream);
        peer.write(&small_frames(stream, 5_000)).await;
        neighbour_is_served(&connection, &mut peer).await;
        let mut response = response.into_body();
        let mut read = 0;
        let error = loop {
            match response.frame().await.unwrap() {
                Ok(_) => read += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(read, 2_000);
        assert!(error.cause().to_string().contains("max_unread_frames of 2000"), "{}", error.cause());
        assert_eq!(error.h2_code(), Some(11), "RESOURCE_EXHAUSTED in gRPC");
    }
    assert_eq!(connection.calls(), 0);
}

#[tokio::test]
async fn reader_that_keeps_up_may_read_any_number_of_small_frames() {
    let settings = Http2Settings { max_unread_frames: 2_000, ..Http2Settings::default() };
    let (Established { connection, .. }, mut peer) = Peer::connect(settings, &[]).await;
    let (response, stream) = begin(&connection, &mut peer).await;
    let mut response = response.into_body();
    for _ in 0..20 {
        peer.write(&small_frames(stream, 900)).await;
        for _ in 0..900 {
            response.frame().await.unwrap().unwrap();
        }
    }
    neighbour_is_served(&connection, &mut peer).await;
}

/// H5: an empty frame means nothing.
#[tokio::test]
async fn empty_data_frames_are_passed_over() {
    let (Established { connection, .. }, mut peer) = Peer::connect(Http2Settings::default(), &[]).await;
    for _ in 0..300 {
        let (response, stream) = begin(&connection, &mut peer).await;
        let empty = bytes_of(DATA, 0, stream, &[]);
        peer.write(&[&empty.repeat(5)[..], &bytes_of(DATA, 0, stream, b"hello"), &empty].concat()).await;
        peer.send(DATA, END_STREAM, stream, &[]).await;
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
    }
}

/// H3: the endpoint would end the connection.
#[tokio::test]
async fn request_head_above_the_limit_of_the_endpoint_is_not_sent() {
    let announced = [(MAX_HEADER_LIST_SIZE, 16 << 10)];
    let (Established { connection, .. }, mut peer) =
        Peer::connect(Http2Settings::default(), &announced).await;
    let with = |size: usize| {
        let mut request = call("/any", body(""));
        request.headers_mut().insert("large", "x".repeat(size).parse().unwrap());
        request
    };
    let failure = connection.send(with(100_000)).await.unwrap_err();
    assert_eq!(failure.error.kind(), SendErrorKind::TooLarge);
    assert_eq!(failure.error.h2_code(), Some(11), "RESOURCE_EXHAUSTED in gRPC");
    let cause = failure.error.cause().to_string();
    assert!(cause.contains("the endpoint takes 16384 (SETTINGS_MAX_HEADER_LIST_SIZE)"), "{cause}");
    assert!(failure.unread.is_none(), "the next endpoint is spared");
    assert_eq!((peer.drain().await.0, connection.calls()), (vec![], 0));

    // What counts beside the field: its name, 32 bytes, and the pseudo header fields.
    let pseudo = ":methodPOST:schemehttp:authoritytest:path/any".len() + 4 * 32;
    let room = (16 << 10) - pseudo - "large".len() - 32;
    assert_eq!(kind(connection.send(with(room + 1)).await), Some(SendErrorKind::TooLarge));
    let call = tokio::spawn(connection.send(with(room)));
    let stream = peer.expect(HEADERS).await.stream;
    peer.answer(stream).await;
    assert_eq!(kind(call.await.unwrap()), None);

    peer.settings(&[(MAX_HEADER_LIST_SIZE, 200_000)]).await;
    peer.drain().await;
    let call = tokio::spawn(connection.send(with(100_000)));
    let stream = peer.expect(HEADERS).await.stream;
    peer.answer(stream).await;
    assert_eq!(kind(call.await.unwrap()), None);
}

/// H3: what ended a connection is not carried to another.
#[tokio::test]
async fn request_head_that_ends_a_connection_is_not_sent_elsewhere() {
    let rows = [
        ("large, and an error", 100_000, 11, SendErrorKind::TooLarge),
        ("large, and no error", 100_000, 0, SendErrorKind::Refused),
        ("small, and an error", 100, 11, SendErrorKind::Refused),
    ];
    for (name, size, code, expected) in rows {
        let (Established { connection, .. }, mut peer) = Peer::connect(Http2Settings::default(), &[]).await;
        let mut request = call("/any", body(""));
        request.headers_mut().insert("large", "x".repeat(size).parse().unwrap());
        let call = tokio::spawn(connection.send(request));
        peer.expect(HEADERS).await;
        peer.goaway(0, code).await;
        let failure = call.await.unwrap().unwrap_err();
        assert_eq!(failure.error.kind(), expected, "{name}");
        assert_eq!(failure.unread.is_some(), expected == SendErrorKind::Refused, "{name}");
    }
}

/// H4: the service's status, or an error that names the limit; never the end of the connection.
#[tokio::test]
async fn large_trailers_end_at_most_their_own_call() {
    let (Established { connection, .. }, mut peer) = Peer::connect(Http2Settings::default(), &[]).await;
    let rows = [(20_000, None), (70_000, Some("Http2Settings::max_header_list of 65536"))];
    for _ in 0..1_100 {
        for (size, limit) in rows {
            let request = tokio::spawn(connection.send(call("/any", body(""))));
            let stream = peer.expect(HEADERS).await.stream;
            let block = [OK, &field("grpc-message", &"x".repeat(size))].concat();
            peer.write(&header_frames(END_STREAM, stream, &block)).await;
            match (request.await.unwrap(), limit) {
                (Ok(response), None) => assert_eq!(response.headers()["grpc-message"].len(), size),
                (Err(failure), Some(limit)) => {
                    assert_eq!(failure.error.kind(), SendErrorKind::TooLarge);
                    assert!(failure.error.cause().to_string().contains(limit), "{}", failure.error.cause());
                }
                (response, _) => panic!("{size}: {response:?}"),
            }
        }
    }
    let (response, stream) = begin(&connection, &mut peer).await;
    let block = field("grpc-message", &"x".repeat(70_000));
    peer.write(&header_frames(END_STREAM, stream, &block)).await;
    let error = response.into_body().collect().await.unwrap_err();
    assert!(error.cause().to_string().contains("Http2Settings::max_header_list of 65536"));
    assert_eq!(connection.calls(), 0);
}

/// H4: h2 counts these over the connection's life.
#[tokio::test]
async fn malformed_responses_end_their_own_calls_only() {
    let (Established { connection, .. }, mut peer) = Peer::connect(Http2Settings::default(), &[]).await;
    for _ in 0..1_100 {
        let request = tokio::spawn(connection.send(call("/any", body(""))));
        let stream = peer.expect(HEADERS).await.stream;
        // Without a status.
        peer.send(HEADERS, END_HEADERS | END_STREAM, stream, &[]).await;
        assert_eq!(kind(request.await.unwrap()), Some(SendErrorKind::Reset(1)));
    }
    neighbour_is_served(&connection, &mut peer).await;
}

/// Item 3 of the design: a call that is cancelled costs its neighbours nothing, however late its answer.
#[tokio::test(start_paused = true)]
async fn late_answers_of_cancelled_calls_are_passed_over() {
    for (remembered, resets) in [(1 << 14, 0), (10, 1_990)] {
        let settings = Http2Settings { max_cancelled_streams: remembered, ..Http2Settings::default() };
        let (Established { connection, .. }, mut peer) = Peer::connect(settings, &[]).await;
        let mut cancelled = Vec::new();
        for _ in 0..2_000 {
            let request = tokio::spawn(connection.send(call("/any", body(""))));
            cancelled.push(peer.expect(HEADERS).await.stream);
            request.abort();
            peer.expect(RST_STREAM).await;
        }
        assert_eq!(connection.calls(), 0);
        for stream in &cancelled {
            peer.answer(*stream).await;
        }
        let (opened, reset) = peer.drain().await;
        assert_eq!((opened.len(), reset.len()), (0, resets));
        neighbour_is_served(&connection, &mut peer).await;
    }
}

/// H4: whatever ends a connection, its calls end with it.
#[tokio::test]
async fn calls_end_when_their_connection_does() {
    let ends: [(&str, Vec<u8>); 6] = [
        ("DATA on stream 0", bytes_of(DATA, 0, 0, &[0])),
        ("a frame that is too long", vec![0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]),
        ("a header block that cannot be decoded", bytes_of(HEADERS, END_HEADERS, 5, &[0xff; 20])),
        ("a response that ends, and cannot be decoded", bytes_of(HEADERS, 5, 5, &[0x88, 0xff, 0xff])),
        ("headers of 6 MB", header_frames(END_STREAM, 5, &field("large", &"x".repeat(6 << 20)))),
        ("GOAWAY of an error", bytes_of(7, 0, 0, &[0, 0, 0, 5, 0, 0, 0, 2])),
    ];
    for (name, end) in ends {
        let (Established { connection, closed }, mut peer) =
            Peer::connect(Http2Settings::default(), &[]).await;
        let (reading, _) = begin(&connection, &mut peer).await;
        let (unread, stream) = begin(&connection, &mut peer).await;
        peer.send(DATA, 0, stream, b"hello").await;
        let waiting = tokio::spawn(connection.send(call("/any", body(""))));
        peer.expect(HEADERS).await;
        let reading = tokio::spawn(async move { reading.into_body().collect().await.is_err() });
        peer.drain().await;
        peer.write_lossy(&end).await;
        drop(peer);
        assert!(kind(waiting.await.unwrap()).is_some(), "{name}");
        assert!(reading.await.unwrap(), "{name}");
        assert!(unread.into_body().collect().await.is_err(), "{name}");
        closed.await;
    }
}
