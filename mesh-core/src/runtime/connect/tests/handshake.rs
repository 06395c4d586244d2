use super::*;

#[tokio::test]
async fn failure_to_connect_names_address_and_cause() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refusing = listener.local_addr().unwrap();
    drop(listener);
    let http1 = raw(|mut io| async move {
        let _ = io.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n").await;
        let _ = io.read(&mut [0; 1024]).await;
    })
    .await;
    // An alert of 7 bytes: less than the head of a frame.
    let tls = raw(|mut io| async move {
        let _ = io.read(&mut [0; 1024]).await;
        let _ = io.write_all(&[0x15, 3, 3, 0, 2, 2, 10]).await;
    })
    .await;
    let closing = raw(|mut io| async move {
        let _ = io.read(&mut [0; 1024]).await;
    })
    .await;
    let rows = [
        (refusing, "connection refused (os error 111)"),
        (http1, "it speaks HTTP/1, not HTTP/2"),
        (tls, "it speaks TLS, and the connection is plaintext"),
        (closing, "closed before its HTTP/2 settings arrived"),
    ];
    for (address, cause) in rows {
        let connector = Http2Connector::default();
        let error = connector.connect(&ConnectTarget::new(address)).await.unwrap_err();
        assert!(error.to_string().starts_with(&format!("connect to {address}: {cause}")), "{error}");
    }
}

/// Accepting alone does not make a connection: something between may do that.
#[tokio::test(start_paused = true)]
async fn endpoint_without_settings_is_not_connected() {
    let (dial, _silent) = Pipe::new();
    let connector = Http2Connector::new(dial, Http2Settings::default());
    let target = ConnectTarget::new("10.0.0.1:1".parse().unwrap());
    let attempt = connector.connect(&target);
    assert!(tokio::time::timeout(Duration::from_secs(3_600), attempt).await.is_err());
}
