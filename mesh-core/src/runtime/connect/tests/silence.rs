use super::*;

#[tokio::test(start_paused = true)]
async fn silent_endpoint_is_given_up_by_keepalive() {
    let (dial, mut endpoint) = Pipe::new();
    let keepalive = Keepalive { scope: KeepaliveScope::All, ..Keepalive::new(Duration::from_secs(30)) };
    let settings = Http2Settings { keepalive: Some(keepalive), ..Http2Settings::default() };
    let connector = Http2Connector::new(dial, settings);
    endpoint.write_all(SETTINGS).await.unwrap();
    let address = "10.0.0.1:1".parse().unwrap();
    let Established { connection, closed } = connector.connect(&ConnectTarget::new(address)).await.unwrap();
    let begun = tokio::time::Instant::now();
    let running = tokio::spawn(connection.send(call("/silence", body("hello"))));
    assert_eq!(closed.await, DisconnectReason::TimedOut);
    let silence = begun.elapsed().as_secs();
    // What arrived during the handshake counts in the first interval.
    assert!((50..=81).contains(&silence), "{silence} s");
    assert_eq!(kind(running.await.unwrap()), Some(SendErrorKind::Closed));
}

#[tokio::test(start_paused = true)]
async fn answered_pings_keep_the_connection() {
    let (dial, endpoint) = Pipe::new();
    let keepalive = Keepalive { scope: KeepaliveScope::All, ..Keepalive::new(Duration::from_secs(30)) };
    let settings = Http2Settings { keepalive: Some(keepalive), ..Http2Settings::default() };
    let connector = Http2Connector::new(dial, settings);
    let serving = tokio::spawn(async move {
        let mut server = h2::server::handshake(endpoint).await.unwrap();
        let accepted = server.accept().await;
        accepted.is_none()
    });
    let address = "10.0.0.1:1".parse().unwrap();
    let Established { connection, closed } = connector.connect(&ConnectTarget::new(address)).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_secs(600), closed).await.is_err());
    assert!(Connection::is_open(&connection));
    drop(connection);
    assert!(serving.await.unwrap(), "closed without a call");
}
