//! Requests that a server must not take: none reaches a handler whole, and what follows one is not read as another.

use crate::Running;

/// S2, S4, S5: the head decides where a request ends, so that a doubtful one ends the connection.
#[tokio::test]
async fn request_with_a_doubtful_head_ends_its_connection() {
    let server = Running::filtering([]).await;
    let rows = [
        "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Host: a\r\nTransfer-Encoding: chunked, gzip",
        "Host: a\r\nTransfer-Encoding: xchunked",
        "Host: a\r\nContent-Length: +5",
        "Host: a\r\nContent-Length: 0x5",
        "Host: a\r\nContent-Length: -0",
        "Host: a\r\nContent-Length: 5, 6",
        "Host: a\r\nContent-Length: 5\r\nContent-Length: 6",
        "Host: a\r\nContent-Length : 5",
        "Host: ex\r\n ample",
        " X: y\r\nHost: a",
        "Host: a\r\nX: b\rc",
        "X: no-host",
        "Host: a\r\nHost: b",
        "Host: a\r\nHost: a",
        "Host: a b",
    ];
    for head in rows {
        let next = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
        let answer = server.exchange(format!("POST /count HTTP/1.1\r\n{head}\r\n\r\n{next}")).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{head:?}: {answer:?}");
        assert!(answer.to_ascii_lowercase().contains("\r\nconnection: close\r\n"), "{head:?}: {answer:?}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{head:?}: {answer:?}");
    }
}

/// A path that two readers could take for two paths.
#[tokio::test]
async fn request_with_a_malformed_path_ends_its_connection() {
    let server = Running::filtering([]).await;
    for path in ["/100%", "/%zz", "/%%32e%%32e/admin"] {
        let answer = server.exchange(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer:?}");
    }
}

/// S3: the handler gets no body whose chunks cannot be told apart, and no request behind it is read.
#[tokio::test]
async fn body_with_a_doubtful_chunk_ends_its_connection() {
    let server = Running::filtering([]).await;
    let rows = [
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "-1\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
    ];
    for body in rows {
        let head = "POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let next = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
        let answer = server.exchange(format!("{head}{body}{next}")).await;
        assert!(!answer.contains(" 200 "), "{body:?}: {answer:?}");
        assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{body:?}: {answer:?}");
    }
}

/// S8: limits of a head.
#[tokio::test]
async fn head_beyond_its_limits_ends_its_connection() {
    let server = Running::filtering([]).await;
    let many: String = (0..101).map(|index| format!("x-{index}: 1\r\n")).collect();
    let answer = server.exchange(format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer:?}");
    // exactly as many bytes as the server reads, so that none is left that would reset the connection
    let begin = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    let answer = server.exchange(format!("{begin}{}", "y".repeat((64 << 10) - begin.len()))).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer:?}");
}

#[tokio::test]
async fn bytes_of_no_protocol_get_no_answer() {
    let server = Running::filtering([]).await;
    for bytes in [&b"\x00\x01\x02"[..], &[22, 3, 1, 2, 0, 2, 0], b" GET / HTTP/1.1\r\n\r\n"] {
        assert_eq!(server.exchange(bytes).await, "", "{bytes:?}");
    }
}
