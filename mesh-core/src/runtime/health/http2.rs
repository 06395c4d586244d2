//! A check by an HTTP/2 request.

use http::header::USER_AGENT;
use http::{HeaderMap, Request, StatusCode, Version};

use crate::config::HttpProbe;
use crate::policy::health::CheckResult;
use crate::runtime::connect::{Connect, Connection};

use super::exchange::exchange;
use super::{CHECKER, ProbeTarget, failed, refused, uri};

pub(super) async fn check<C: Connect>(
    probe: &HttpProbe,
    target: &ProbeTarget,
    place: Option<<C::Connection as Connection>::Place>,
    connector: &C,
) -> CheckResult {
    let make = || {
        let mut request = Request::builder().method(probe.method.clone()).version(Version::HTTP_2).uri(uri(
            target,
            probe.host.as_ref(),
            probe.path.as_str(),
        ));
        if !probe.headers.iter().any(|(name, _)| name == USER_AGENT) {
            request = request.header(USER_AGENT, CHECKER);
        }
        for (name, value) in &probe.headers {
            request = request.header(name, value);
        }
        request.body(None).ok()
    };
    match exchange(make, target, place, connector).await {
        Ok(answer) => judge(probe, answer.head.status, &answer.head.headers),
        Err(result) => result,
    }
}

/// LB-64: an expected status is healthy, a retriable one a failure, any other one a refusal.
pub(super) fn judge(probe: &HttpProbe, status: StatusCode, headers: &HeaderMap) -> CheckResult {
    let is_in = |ranges: &[std::ops::Range<u16>]| ranges.iter().any(|range| range.contains(&status.as_u16()));
    if !is_in(&probe.expected) {
        let reason = format!("the health check was answered with HTTP status {}", status.as_u16());
        return if is_in(&probe.retriable) { failed(reason) } else { refused(reason) };
    }
    let Some(service) = &probe.service else { return CheckResult::Good };
    let name = headers.get(SERVICE).and_then(|name| name.to_str().ok()).unwrap_or_default();
    if service.matches(name) {
        CheckResult::Good
    } else {
        refused(format!("another service answers the health check: {name:?}"))
    }
}

/// The service that a proxy or an endpoint names itself.
const SERVICE: &str = "x-envoy-upstream-healthchecked-cluster";
