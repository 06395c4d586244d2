//! Requests that a server takes: what the handler sees of them.

use http::Request;
use tokio::net::TcpStream;

use crate::Running;

/// T1, T4, S5: one view of host and path, whatever the client has sent.
#[tokio::test]
async fn handler_sees_one_host_and_one_path() {
    let server = Running::filtering([]).await;
    let rows = [
        ("GET /x HTTP/1.1\r\nHost: A.example.:80", "HTTP/1.1 a.example:80 /x false false"),
        ("GET http://b.example/x HTTP/1.1\r\nHost: a.example", "HTTP/1.1 b.example /x false false"),
        ("GET /x HTTP/1.1\r\nHost:", "HTTP/1.1  /x false false"),
        ("GET //evil.example/x HTTP/1.1\r\nHost: a", "HTTP/1.1 a //evil.example/x false false"),
        ("GET /x#y HTTP/1.1\r\nHost: a", "HTTP/1.1 a /x false false"),
        ("GET /a/%2e%2e/x?q=/../1 HTTP/1.1\r\nHost: a", "HTTP/1.1 a /x false false"),
        ("GET /a\\..\\x HTTP/1.1\r\nHost: a", "HTTP/1.1 a /x false false"),
        ("\r\nGET /x HTTP/1.1\r\nHost: a", "HTTP/1.1 a /x false false"),
    ];
    for (request, expected) in rows {
        let answer = server.exchange(format!("{request}\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{request}: {answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n{expected}")), "{request}: {answer}");
    }
}

/// T5: requests that name no path have no effect on a router that relies on one.
#[tokio::test]
async fn request_without_a_path_is_answered_by_the_server() {
    let server = Running::filtering([]).await;
    let rows = [
        ("OPTIONS * HTTP/1.1\r\nHost: a", "HTTP/1.1 204 "),
        ("GET * HTTP/1.1\r\nHost: a", "HTTP/1.1 400 "),
        ("CONNECT x:1 HTTP/1.1\r\nHost: x:1", "HTTP/1.1 405 "),
    ];
    for (request, expected) in rows {
        let answer = server.exchange(format!("{request}\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.starts_with(expected), "{request}: {answer}");
    }
}

#[tokio::test]
async fn both_versions_share_a_port() {
    let server = Running::filtering([]).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut send, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get("http://A.example/./x").body(()).unwrap();
    let mut body = send.send_request(request, true).unwrap().0.await.unwrap().into_body();
    let mut answer = Vec::new();
    while let Some(part) = body.data().await {
        answer.extend(part.unwrap());
    }
    assert_eq!(String::from_utf8(answer).unwrap(), "HTTP/2.0 a.example /x false false");
    let answer = server.exchange("GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.ends_with("HTTP/1.1 a /x false false"), "{answer}");
    connection.abort();
}

#[tokio::test]
async fn requests_of_a_connection_follow_each_other() {
    let server = Running::filtering([]).await;
    let answer = server
        .exchange(
            "POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n0\r\n\r\n\
             POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
        )
        .await;
    let bodies: Vec<_> = answer.split("\r\n\r\n").skip(1).map(|part| part.chars().next()).collect();
    assert_eq!(bodies, [Some('5'), Some('3')], "{answer}");
    assert_eq!(server.handle.accepted_connections(), 1);
}
