//! A check by a TCP connection.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::config::TcpProbe;
use crate::policy::health::CheckResult;
use crate::runtime::connect::Connect;

use super::{MAX_ANSWER, ProbeTarget, failed, new_place, new_stream};

pub(super) async fn check<C: Connect>(probe: &TcpProbe, target: &ProbeTarget, connector: &C) -> CheckResult {
    let is_conversation = !probe.sent.is_empty() || !probe.expected.is_empty();
    if target.tls.is_some() && !is_conversation {
        // The handshake has to succeed, too.
        return match new_place(target, connector).await {
            Ok(_) => CheckResult::Good,
            Err(result) => result,
        };
    }
    let mut stream = match new_stream(target, connector).await {
        Ok(stream) => stream,
        Err(result) => return result,
    };
    let mut received = Vec::new();
    let conversation = async {
        stream.write_all(&probe.sent).await?;
        while !contains(&received, &probe.expected) && received.len() < MAX_ANSWER {
            if stream.read_buf(&mut received).await? == 0 {
                break;
            }
        }
        std::io::Result::Ok(())
    };
    match conversation.await {
        Ok(()) if contains(&received, &probe.expected) => CheckResult::Good,
        Ok(()) => failed("the answer to the health check is not the expected one"),
        Err(error) => failed(format!("the connection of the health check failed: {error}")),
    }
}

/// Whether all parts are in the answer, in this order, with anything in between.
fn contains(mut answer: &[u8], parts: &[bytes::Bytes]) -> bool {
    parts.iter().filter(|part| !part.is_empty()).all(|part| {
        let found = answer.windows(part.len()).position(|window| window == part.as_ref());
        answer = found.and_then(|at| answer.get(at + part.len()..)).unwrap_or_default();
        found.is_some()
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// Proves: LB-64.
    #[test]
    fn parts_of_an_answer_are_found_in_order() {
        let parts = |parts: &[&'static str]| parts.iter().copied().map(Bytes::from).collect::<Vec<_>>();
        for (expected, is_found) in [
            (&[][..], true),
            (&["+"], true),
            (&["+PO", "G"], true),
            (&["G", "+"], false),
            (&["PONG", "G"], false),
            (&["PING"], false),
        ] {
            assert_eq!(contains(b"+PONG\r\n", &parts(expected)), is_found, "{expected:?}");
        }
    }
}
