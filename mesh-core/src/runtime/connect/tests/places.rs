use super::peer::{HEADERS, MAX_CONCURRENT_STREAMS, Peer};
use super::*;

/// Sends so many calls; the endpoint takes what it takes.
fn send(connection: &Http2Connection, calls: usize) -> Vec<JoinHandle<Option<SendErrorKind>>> {
    let send = |_| {
        let call = connection.send(call("/any", body("hello")));
        tokio::spawn(async move { kind(call.await) })
    };
    (0..calls).map(send).collect()
}

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

/// S1, Y2: what never left the process can be sent again elsewhere, at once.
#[tokio::test]
async fn waiting_calls_are_returned_when_connection_ends() {
    for announced in [0, 1] {
        let (Established { connection, .. }, mut peer) =
            Peer::connect(Http2Settings::default(), &[(MAX_CONCURRENT_STREAMS, announced)]).await;
        let calls = send(&connection, 6);
        let (opened, _) = peer.drain().await;
        assert_eq!(opened.len(), announced as usize);
        drop(peer);
        let mut kinds = Vec::new();
        for call in calls {
            kinds.push(call.await.unwrap().unwrap());
        }
        let (sent, waiting) = kinds.split_at(announced as usize);
        assert!(sent.iter().all(|kind| *kind == SendErrorKind::Closed), "{kinds:?}");
        assert!(waiting.iter().all(|kind| *kind == SendErrorKind::NotSent), "{kinds:?}");
    }
}

/// S2: the task learns of the end before it writes.
#[tokio::test]
async fn call_sent_as_connection_ends_is_returned_whole() {
    let ends: [(&str, &[u8]); 4] = [
        ("end of stream", &[]),
        ("GOAWAY of an error", &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11]),
        ("GOAWAY", &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("DATA on stream 0", &[0, 0, 1, 0, 0, 0, 0, 0, 0, 0]),
    ];
    for (name, end) in ends {
        for size in [5, 200_000] {
            let (Established { connection, .. }, mut peer) =
                Peer::connect(Http2Settings::default(), &[]).await;
            peer.drain().await;
            peer.write(end).await;
            drop(peer);
            // Nothing has run since: the connection counts as open.
            let call = connection.send(call("/any", body(vec![7; size])));
            assert!(Connection::is_open(&connection));
            let failure = call.await.unwrap_err();
            assert_eq!(failure.error.kind(), SendErrorKind::NotSent, "{name}");
            let unread = failure.unread.unwrap().body;
            let rest = match unread.rest {
                Some(rest) => rest.collect().await.unwrap().to_bytes(),
                None => Bytes::new(),
            };
            assert_eq!(unread.read.iter().map(Bytes::len).sum::<usize>() + rest.len(), size, "{name}");
        }
    }
}

/// S3, S4: a call that is given up while it waits costs the endpoint nothing.
#[tokio::test]
async fn waiting_calls_that_are_given_up_are_never_sent() {
    let (Established { connection, .. }, mut peer) =
        Peer::connect(Http2Settings::default(), &[(MAX_CONCURRENT_STREAMS, 0)]).await;
    let (impatient, patient) = (send(&connection, 500), send(&connection, 20));
    assert_eq!(peer.drain().await, (vec![], vec![]));
    impatient.iter().for_each(JoinHandle::abort);
    assert_eq!(peer.drain().await, (vec![], vec![]));
    peer.settings(&[(MAX_CONCURRENT_STREAMS, 2)]).await;
    let mut served = 0;
    while served < 20 {
        let (opened, reset) = peer.drain().await;
        assert_eq!((opened.len(), reset), (2, vec![]), "after {served}");
        served += opened.len();
        for stream in opened {
            peer.answer(stream).await;
        }
    }
    for call in patient {
        assert_eq!(call.await.unwrap(), None);
    }
    assert_eq!(connection.calls(), 0);
}

/// S5: what is given up before it is written is not written.
#[tokio::test]
async fn flood_of_calls_that_are_given_up_at_once_does_not_reach_the_endpoint() {
    let server = Server::start().await;
    let Established { connection, .. } = connect(server.address).await;
    for _ in 0..4 {
        let mut neighbours = Vec::new();
        let mut given_up = Vec::new();
        for round in 0..1_000 {
            given_up.push(connection.send(call("/silence", body("hello"))));
            if round % 10 == 0 {
                let connection = connection.clone();
                neighbours.push(tokio::spawn(async move { get(&connection, "/echo", "hello").await.0 }));
            }
        }
        drop(given_up);
        for neighbour in neighbours {
            assert_eq!(neighbour.await.unwrap(), "hello");
        }
    }
    assert_eq!(server.accepted(), 1);
    let arrived = Counts::of(&server.counts.calls);
    assert!(arrived <= 400 + 4 * 16, "{arrived} calls arrived");
}

/// S7: RFC 9113 section 6.8.
#[tokio::test]
async fn no_stream_is_opened_after_goaway() {
    let (Established { connection, closed }, mut peer) =
        Peer::connect(Http2Settings::default(), &[(MAX_CONCURRENT_STREAMS, 1)]).await;
    let mut calls = send(&connection, 3);
    assert_eq!(peer.drain().await.0, [1]);
    peer.goaway(0x7fff_ffff, 0).await;
    for call in calls.split_off(1) {
        assert_eq!(call.await.unwrap(), Some(SendErrorKind::NotSent), "at once");
    }
    assert_eq!(closed.await, DisconnectReason::GoAway(0));
    peer.answer(1).await;
    assert_eq!(calls.remove(0).await.unwrap(), None);
    while let Some(frame) = peer.next().await {
        assert_ne!(frame.kind, HEADERS);
    }
}

#[tokio::test]
async fn limit_follows_the_settings_of_the_endpoint() {
    let (Established { connection, .. }, mut peer) =
        Peer::connect(Http2Settings::default(), &[(MAX_CONCURRENT_STREAMS, 3)]).await;
    let calls = send(&connection, 6);
    assert_eq!(peer.drain().await.0, [1, 3, 5]);
    peer.settings(&[(MAX_CONCURRENT_STREAMS, 1)]).await;
    peer.answer(1).await;
    peer.answer(3).await;
    assert_eq!(peer.drain().await.0, [0; 0], "one still runs");
    peer.answer(5).await;
    assert_eq!(peer.drain().await.0, [7]);
    peer.settings(&[(MAX_CONCURRENT_STREAMS, 100)]).await;
    assert_eq!(peer.drain().await.0, [9, 11]);
    for stream in [7, 9, 11] {
        peer.answer(stream).await;
    }
    for call in calls {
        assert_eq!(call.await.unwrap(), None);
    }
}

/// The endpoint counts a stream until both ends have ended it, and so does the connection.
#[tokio::test]
async fn unread_response_gives_up_its_place() {
    let server = Server::with_limit(Some(1)).await;
    let Established { connection, .. } = connect(server.address).await;
    let mut unread = Vec::new();
    for _ in 0..3 {
        unread.push(connection.send(call("/sized", body("hello"))).await.unwrap());
        eventually("the response is whole", || connection.calls() == 0).await;
    }
    for response in unread {
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
    }
}

#[tokio::test]
async fn place_that_is_not_used_goes_to_the_next_call() {
    let (Established { connection, .. }, mut peer) =
        Peer::connect(Http2Settings::default(), &[(MAX_CONCURRENT_STREAMS, 1)]).await;
    let Reserve::Place(place) = connection.reserve() else { panic!("a free place") };
    let calls = send(&connection, 1);
    assert_eq!(peer.drain().await.0, [0; 0]);
    drop(place);
    assert_eq!(peer.drain().await.0, [1]);
    peer.answer(1).await;
    for call in calls {
        assert_eq!(call.await.unwrap(), None);
    }
}

#[tokio::test]
async fn cluster_limits_the_calls_of_a_connection_below_the_endpoints_limit() {
    for (endpoint, cluster, expected) in [(None, 2, 2), (Some(1), 2, 1), (Some(5), 2, 2)] {
        let server = Server::with_limit(endpoint).await;
        let settings = crate::config::ConnectionSettings {
            max_concurrent_streams: std::num::NonZeroU32::new(cluster),
            ..Default::default()
        };
        let mut target = ConnectTarget::new(server.address);
        target.connection = Arc::new(settings);
        let connected = Http2Connector::default().connect(&target).await.unwrap();
        assert_eq!(connected.connection.max_concurrent_streams(), expected, "{endpoint:?}");
    }
}
