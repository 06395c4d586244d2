//! Callers on several threads and in several runtimes share one connection.

use super::*;

/// Every way in which a call uses its connection; each must end by itself.
async fn mixed_call(connection: Http2Connection, number: usize) {
    match number % 6 {
        // A chunk at a time, the response beside it.
        0 => {
            let (feed, _, upload) = channel();
            let response = tokio::spawn(connection.send(call("/echo", upload)));
            for _ in 0..4 {
                feed.send(Bytes::from_static(b"chunk")).unwrap();
                tokio::task::yield_now().await;
            }
            drop(feed);
            let response = response.await.unwrap().map_err(|failure| failure.error).unwrap();
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 20);
        }
        // Windows and their updates.
        1 => {
            let data = vec![7; 200_000];
            let response = connection.send(call("/echo", body(data))).await.map_err(|failure| failure.error);
            assert_eq!(response.unwrap().into_body().collect().await.unwrap().to_bytes().len(), 200_000);
        }
        2 => {
            let sent = connection.send(call("/echo", body("cancelled")));
            let _ = tokio::time::timeout(Duration::from_micros(50), sent).await;
        }
        3 => drop(connection.send(call("/echo", body("not polled")))),
        4 => drop(connection.send(call("/echo", body("not read"))).await),
        _ => assert_eq!(get(&connection, "/echo", "hello").await.0, "hello"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_on_several_threads_all_end() {
    let server = Server::start().await;
    for in_flight in [1, 2, 16] {
        let Established { connection, .. } = connect(server.address).await;
        let callers: Vec<_> = (0..in_flight)
            .map(|caller| {
                let connection = connection.clone();
                tokio::spawn(async move {
                    for number in 0..120 {
                        let mixed = mixed_call(connection.clone(), caller + number);
                        let ended = tokio::time::timeout(Duration::from_secs(30), mixed).await;
                        ended.unwrap_or_else(|_| panic!("call {number} of caller {caller} hangs"));
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.await.unwrap();
        }
        eventually("all streams have ended", || connection.calls() == 0).await;
        drop(connection);
        eventually("the connection is closed", || server.open() == 0).await;
    }
    assert_eq!(server.accepted(), 3, "no call ended the connection");
}

#[tokio::test]
async fn caller_in_a_runtime_without_timers_leaves_the_connection_whole() {
    let server = Server::start().await;
    let Established { connection, .. } = connect(server.address).await;
    assert_eq!(get(&connection, "/echo", "hello").await.0, "hello");
    let caller = connection.clone();
    let cancelled = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for _ in 0..40 {
            // Cancelled before the endpoint has accepted it: the connection starts a timer.
            let mut sent = caller.send(call("/silence", body("hello")));
            runtime.block_on(std::future::poll_fn(|cx| {
                assert!(sent.as_mut().poll(cx).is_pending());
                std::task::Poll::Ready(())
            }));
        }
    });
    tokio::task::spawn_blocking(|| cancelled.join()).await.unwrap().unwrap();
    eventually("all streams have ended", || connection.calls() == 0).await;
    assert_eq!(get(&connection, "/echo", "hello").await.0, "hello");
    assert_eq!(server.accepted(), 1);
}
