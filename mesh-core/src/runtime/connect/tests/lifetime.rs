//! Connections that take no more calls because their cluster says so.

use std::num::NonZeroU32;

use tokio::time::Instant;

use super::peer::{GOAWAY, Peer};
use super::*;
use crate::config::ConnectionSettings;
use crate::runtime::{ReplayLimit, ReplayRoom};

async fn connect_with(
    server: &Server,
    change: impl FnOnce(&mut ConnectionSettings),
) -> Established<Http2Connection> {
    let mut settings = ConnectionSettings::default();
    change(&mut settings);
    let mut target = ConnectTarget::new(server.address);
    target.connection = Arc::new(settings);
    Http2Connector::default().connect(&target).await.unwrap()
}

#[tokio::test]
async fn connection_takes_no_calls_beyond_its_clusters_limit_and_lets_running_ones_finish() {
    let server = Server::start().await;
    let connected = connect_with(&server, |settings| settings.max_requests = NonZeroU32::new(3)).await;
    let Established { connection, closed } = connected;
    let (feed, _, request) = channel();
    let running = connection.send(call("/echo", request)).await.unwrap();
    assert_eq!(get(&connection, "/echo", "two").await.0, "two");
    assert!(Connection::is_open(&connection));
    assert_eq!(get(&connection, "/echo", "three").await.0, "three");
    assert!(matches!(connection.reserve(), Reserve::Closed));
    assert_eq!(closed.await, DisconnectReason::UsedUp);
    let failure = connection.send(call("/echo", body("four"))).await.unwrap_err();
    assert_eq!(failure.error.kind(), SendErrorKind::NotSent);
    drop(connection);
    feed.send(Bytes::from_static(b"one")).unwrap();
    drop(feed);
    assert_eq!(running.into_body().collect().await.unwrap().to_bytes(), "one");
    eventually("the connection is closed", || server.open() == 0).await;
    assert_eq!(Counts::of(&server.counts.calls), 3);
}

/// Calls that have their place before the last one is sent are given back unsent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_come_at_once_do_not_exceed_the_clusters_limit() {
    let server = Server::start().await;
    let connected = connect_with(&server, |settings| settings.max_requests = NonZeroU32::new(30)).await;
    let places = std::iter::from_fn(|| match connected.connection.reserve() {
        Reserve::Place(place) => Some(place),
        Reserve::Full | Reserve::Closed => None,
    });
    let calls: Vec<_> = places
        .take(100)
        .map(|place| {
            tokio::spawn(async move {
                let room = ReplayRoom::of(ReplayLimit::default());
                let request = call("/echo", body("hello"));
                match <Http2Connection as Connection>::send(place, request, room).await {
                    Ok(response) => Ok(response.into_body().collect().await.unwrap().to_bytes()),
                    Err(failure) => Err((failure.error.kind(), failure.unread.is_some())),
                }
            })
        })
        .collect();
    let mut served = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(answer) => {
                assert_eq!(answer, "hello");
                served += 1;
            }
            Err(failure) => assert_eq!(failure, (SendErrorKind::NotSent, true), "it can be sent again"),
        }
    }
    assert_eq!((served, Counts::of(&server.counts.calls)), (30, 30));
}

/// Proves: CDS-17.
#[tokio::test(start_paused = true)]
async fn connection_without_a_call_is_closed_after_its_clusters_idle_timeout() {
    // How long the call takes; `None`: there is none.
    for call_time in [None, Some(1), Some(59), Some(60), Some(500)] {
        let idle_timeout = Some(Duration::from_secs(60));
        let cluster = ConnectionSettings { idle_timeout, ..ConnectionSettings::default() };
        let settings = Http2Settings { probe: None, ..Http2Settings::default() };
        let (Established { connection, closed }, mut peer) = Peer::connect_in(settings, &[], cluster).await;
        if let Some(time) = call_time {
            let running = tokio::spawn(connection.send(call("/any", body("hello"))));
            let stream = peer.drain().await.0[0];
            tokio::time::sleep(Duration::from_secs(time)).await;
            assert!(Connection::is_open(&connection), "a call runs");
            peer.answer(stream).await;
            running.await.unwrap().unwrap();
        }
        let begun = Instant::now();
        assert_eq!(closed.await, DisconnectReason::Idle, "{call_time:?}");
        assert_eq!(begun.elapsed().as_secs(), 60, "{call_time:?}");
        assert!(matches!(connection.reserve(), Reserve::Closed));
        drop(connection);
        peer.expect(GOAWAY).await;
        assert_eq!(peer.next().await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn connection_without_an_idle_timeout_is_kept() {
    for idle_timeout in [None, Some(Duration::MAX)] {
        let cluster = ConnectionSettings { idle_timeout, ..ConnectionSettings::default() };
        let settings = Http2Settings { probe: None, ..Http2Settings::default() };
        let connected = Peer::connect_in(settings, &[], cluster).await;
        let (Established { connection, closed }, _peer) = connected;
        let year = Duration::from_secs(365 * 24 * 3_600);
        assert!(tokio::time::timeout(year, closed).await.is_err());
        assert!(Connection::is_open(&connection));
    }
}
