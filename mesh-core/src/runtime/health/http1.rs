//! A check by an HTTP/1.1 request, on a connection of its own.

use http::header::{HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::config::HttpProbe;
use crate::policy::health::CheckResult;
use crate::runtime::connect::Connect;

use super::http2::judge;
use super::{CHECKER, MAX_ANSWER, ProbeTarget, failed, new_stream};

pub(super) async fn check<C: Connect>(probe: &HttpProbe, target: &ProbeTarget, connector: &C) -> CheckResult {
    let mut stream = match new_stream(target, connector).await {
        Ok(stream) => stream,
        Err(result) => return result,
    };
    let Some(request) = request(probe, target.host(probe.host.as_ref())) else {
        return failed("the request of the health check is malformed");
    };
    let mut received = Vec::new();
    let conversation = async {
        stream.write_all(&request).await?;
        while head_end(&received).is_none() && received.len() < MAX_ANSWER {
            if stream.read_buf(&mut received).await? == 0 {
                break;
            }
        }
        std::io::Result::Ok(())
    };
    if let Err(error) = conversation.await {
        return failed(format!("the connection of the health check failed: {error}"));
    }
    match head_end(&received).and_then(|end| read_head(received.get(..end)?)) {
        Some((status, headers)) => judge(probe, status, &headers),
        None => failed("the health check was not answered in HTTP/1"),
    }
}

/// `None`: the host cannot be sent.
fn request(probe: &HttpProbe, host: &str) -> Option<Vec<u8>> {
    let host = HeaderValue::from_str(host).ok()?;
    let mut bytes = format!("{} {} HTTP/1.1\r\n", probe.method, probe.path).into_bytes();
    let mut add = |name: &HeaderName, value: &HeaderValue| {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    };
    add(&HOST, &host);
    if !probe.headers.iter().any(|(name, _)| name == USER_AGENT) {
        add(&USER_AGENT, &HeaderValue::from_static(CHECKER));
    }
    probe.headers.iter().for_each(|(name, value)| add(name, value));
    bytes.extend_from_slice(b"connection: close\r\n\r\n");
    Some(bytes)
}

/// Where the head of a response ends.
fn head_end(received: &[u8]) -> Option<usize> {
    received.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 2)
}

/// `None`: it is no HTTP/1.
fn read_head(head: &[u8]) -> Option<(StatusCode, HeaderMap)> {
    let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let first = lines.next()?.strip_prefix(b"HTTP/1.")?;
    let status = StatusCode::from_bytes(first.get(2..5)?).ok()?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = line.split_at(colon);
        let name = HeaderName::from_bytes(name);
        let value = HeaderValue::from_bytes(value.get(1..).unwrap_or_default().trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    Some((status, headers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_and_other_answers_are_not() {
        let answer =
            b"HTTP/1.1 204 No Content\r\nX-Envoy-Upstream-HealthChecked-Cluster:  shop \r\nbad\r\n\r\nrest";
        let end = head_end(answer).unwrap();
        let (status, headers) = read_head(&answer[..end]).unwrap();
        assert_eq!(status, StatusCode::NO_CONTENT);
        assert_eq!(headers["x-envoy-upstream-healthchecked-cluster"], "shop");
        for wrong in [&b""[..], b"HTTP/2 200\r\n", b"HTTP/1.1", b"HTTP/1.1 x\r\n", b"SSH-2.0\r\n"] {
            assert!(read_head(wrong).is_none(), "{wrong:?}");
        }
        assert_eq!(head_end(b"HTTP/1.1 200 OK\r\n"), None);
    }
}
