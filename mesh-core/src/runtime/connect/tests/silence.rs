//! Connections whose other end is gone without a word.

use tokio::time::Instant;

use super::peer::{ACK, PING, Peer};
use super::*;

fn keepalive(interval: u64, timeout: u64, scope: KeepaliveScope) -> Http2Settings {
    let timeout = Duration::from_secs(timeout);
    let keepalive = Keepalive { timeout, scope, ..Keepalive::new(Duration::from_secs(interval)) };
    Http2Settings { keepalive: Some(keepalive), ..Http2Settings::default() }
}

/// C2, and proves: LB-80.
#[tokio::test(start_paused = true)]
async fn silent_endpoint_is_closed_after_keepalive_interval_and_timeout() {
    for sign in [0, 5, 9] {
        let settings = keepalive(10, 1, KeepaliveScope::All);
        let (Established { connection, closed }, mut peer) = Peer::connect(settings, &[]).await;
        let running = tokio::spawn(connection.send(call("/any", body("hello"))));
        tokio::time::sleep(Duration::from_secs(sign)).await;
        peer.settings(&[]).await;
        let last = Instant::now();
        assert_eq!(closed.await, DisconnectReason::TimedOut);
        assert_eq!(last.elapsed().as_secs(), 11, "after a sign of life at {sign} s");
        assert_eq!(kind(running.await.unwrap()), Some(SendErrorKind::Closed));
    }
}

/// C3: by default a black hole is found while calls are in flight.
#[tokio::test(start_paused = true)]
async fn black_hole_is_found_by_default() {
    let (Established { connection, closed }, _peer) = Peer::connect(Http2Settings::default(), &[]).await;
    let running = tokio::spawn(connection.send(call("/any", body("hello"))));
    let begun = Instant::now();
    assert_eq!(closed.await, DisconnectReason::TimedOut);
    let Probe { silence, timeout } = Probe::default();
    assert_eq!(begun.elapsed().as_secs(), (silence + timeout).as_secs());
    assert_eq!(kind(running.await.unwrap()), Some(SendErrorKind::Closed));
}

/// How many pings come within an hour of silence.
async fn pings_of_an_hour(settings: Http2Settings, calls: usize) -> usize {
    let (Established { connection, .. }, mut peer) = Peer::connect(settings, &[]).await;
    let running: Vec<_> =
        (0..calls).map(|_| tokio::spawn(connection.send(call("/any", body("hello"))))).collect();
    let mut pings = 0;
    let counting = async {
        loop {
            let ping = peer.expect(PING).await;
            assert_eq!(ping.flags & ACK, 0);
            pings += 1;
            peer.send(PING, ACK, 0, &ping.payload).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(3_600), counting).await.is_err());
    assert!(Connection::is_open(&connection));
    assert!(running.iter().all(|call| !call.is_finished()));
    pings
}

/// Servers of gRPC end a connection with more than two pings that are not 5 minutes apart.
#[tokio::test(start_paused = true)]
async fn call_that_takes_an_hour_is_probed_within_the_ping_policy_of_servers() {
    let pings = pings_of_an_hour(Http2Settings::default(), 1).await;
    assert!((10..=12).contains(&pings), "{pings} pings");
    assert_eq!(pings_of_an_hour(Http2Settings::default(), 0).await, 0, "no call waits");
}

/// Proves: LB-80.
#[tokio::test(start_paused = true)]
async fn answered_pings_keep_the_connection() {
    assert_eq!(pings_of_an_hour(keepalive(30, 20, KeepaliveScope::All), 0).await, 119);
    assert_eq!(pings_of_an_hour(keepalive(30, 20, KeepaliveScope::Calls), 1).await, 119);
    assert_eq!(pings_of_an_hour(keepalive(30, 20, KeepaliveScope::Calls), 0).await, 0);
    let off = Http2Settings { probe: None, ..Http2Settings::default() };
    assert_eq!(pings_of_an_hour(off, 1).await, 0);
}

/// M3: values beyond all bounds are moved to where they never come.
#[tokio::test(start_paused = true)]
async fn unbounded_durations_do_not_fail() {
    let endless =
        Keepalive { timeout: Duration::MAX, scope: KeepaliveScope::All, ..Keepalive::new(Duration::MAX) };
    let probe = Probe { silence: Duration::MAX, timeout: Duration::MAX };
    let off = Http2Settings {
        cancelled_stream_memory: Duration::MAX,
        probe: Some(probe),
        ..Http2Settings::default()
    };
    assert_eq!(pings_of_an_hour(off, 1).await, 0);
    assert_eq!(pings_of_an_hour(Http2Settings { keepalive: Some(endless), ..off }, 1).await, 0);
}
