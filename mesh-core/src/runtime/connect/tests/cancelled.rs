//! Calls that are cancelled before the endpoint has accepted them.

use tokio::time::Instant;

use super::peer::{HEADERS, MAX_CONCURRENT_STREAMS, Peer, RST_STREAM, neighbour_is_served};
use super::*;

/// Sends so many calls, and cancels them once the endpoint has their heads. Returns their streams.
async fn cancel(connection: &Http2Connection, peer: &mut Peer, calls: usize) -> Vec<u32> {
    let calls: Vec<_> =
        (0..calls).map(|_| tokio::spawn(connection.send(call("/any", body("hello"))))).collect();
    let mut streams = Vec::new();
    for _ in &calls {
        streams.push(peer.expect(HEADERS).await.stream);
    }
    calls.iter().for_each(JoinHandle::abort);
    streams
}

#[tokio::test(start_paused = true)]
async fn streams_of_cancelled_calls_are_reset_once_a_later_call_is_answered() {
    let (Established { connection, .. }, mut peer) = Peer::connect(Http2Settings::default(), &[]).await;
    let cancelled = cancel(&connection, &mut peer, 100).await;
    let (_, mut reset) = peer.drain().await;
    assert_eq!(reset.len(), 16, "{reset:?}");
    assert_eq!(connection.calls(), 84, "a stream that is open at the endpoint keeps its place");

    peer.answer(cancelled[49]).await;
    let (_, more) = peer.drain().await;
    assert_eq!(more.len(), 33 + 16, "those before the answer, and as many again");
    reset.extend(more);

    neighbour_is_served(&connection, &mut peer).await;
    reset.extend(peer.drain().await.1);
    reset.sort_unstable();
    let expected: Vec<u32> = cancelled.iter().copied().filter(|stream| *stream != cancelled[49]).collect();
    assert_eq!(reset, expected);
    assert_eq!(connection.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn streams_of_cancelled_calls_are_reset_soon_without_any_answer() {
    let (Established { connection, .. }, mut peer) = Peer::connect(Http2Settings::default(), &[]).await;
    cancel(&connection, &mut peer, 40).await;
    assert_eq!(peer.drain().await.1.len(), 16);
    let begun = Instant::now();
    for _ in 16..40 {
        peer.expect(RST_STREAM).await;
    }
    assert!(begun.elapsed() <= Duration::from_millis(201), "{:?}", begun.elapsed());
    assert_eq!(connection.calls(), 0);
    neighbour_is_served(&connection, &mut peer).await;
}

#[tokio::test(start_paused = true)]
async fn place_of_a_cancelled_call_is_free_once_its_stream_is_reset() {
    let (Established { connection, .. }, mut peer) =
        Peer::connect(Http2Settings::default(), &[(MAX_CONCURRENT_STREAMS, 20)]).await;
    cancel(&connection, &mut peer, 20).await;
    assert_eq!(peer.drain().await.1.len(), 16);
    let calls: Vec<_> = (0..20).map(|_| tokio::spawn(connection.send(call("/any", body(""))))).collect();
    let (opened, _) = peer.drain().await;
    assert_eq!(opened.len(), 16, "four streams are still open");
    for stream in &opened {
        peer.answer(*stream).await;
    }
    for stream in peer.drain().await.0 {
        peer.answer(stream).await;
    }
    for call in calls {
        assert_eq!(kind(call.await.unwrap()), None);
    }
}

#[tokio::test(start_paused = true)]
async fn connection_ends_although_streams_of_cancelled_calls_are_open() {
    let (Established { connection, closed }, mut peer) = Peer::connect(Http2Settings::default(), &[]).await;
    cancel(&connection, &mut peer, 40).await;
    drop(connection);
    assert_eq!(closed.await, DisconnectReason::Shutdown);
    while peer.next().await.is_some() {}
}

/// An endpoint on h2 that pauses reads heads and resets at once, and ends the connection if these are many.
#[tokio::test(start_paused = true)]
async fn calls_that_are_cancelled_while_the_endpoint_pauses_leave_the_connection() {
    let (dial, io) = Pipe::new();
    let target = ConnectTarget::new("10.0.0.1:1".parse().unwrap());
    let connector = Http2Connector::new(dial, Http2Settings::default());
    let (established, server) = tokio::join!(connector.connect(&target), h2::server::handshake(io));
    let (connection, mut server) = (established.unwrap().connection, server.unwrap());
    let calls: Vec<_> =
        (0..150).map(|_| tokio::spawn(connection.send(call("/any", body("hello"))))).collect();
    // Nothing else is ready to run when the time passes: all that is to be written has been written.
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(connection.calls(), 150);
    calls.iter().for_each(JoinHandle::abort);
    tokio::time::sleep(Duration::from_millis(1)).await;

    let neighbour = tokio::spawn(connection.send(call("/neighbour", body("hello"))));
    tokio::time::sleep(Duration::from_millis(1)).await;
    let serving = tokio::spawn(async move {
        while let Some(accepted) = server.accept().await {
            let (request, mut respond) = accepted.unwrap();
            if request.uri().path() == "/neighbour" {
                respond.send_response(http::Response::new(()), true).unwrap();
            }
        }
    });
    assert_eq!(kind(neighbour.await.unwrap()), None);
    assert!(Connection::is_open(&connection));
    drop(connection);
    serving.await.unwrap();
}
