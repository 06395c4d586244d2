//! W3C's Trace Context in headers: `traceparent` and `tracestate`.

use std::str::FromStr;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// Writes the context of a span, in place of one that is there.
pub(super) fn inject(of: &SpanContext, headers: &mut HeaderMap) {
    if !of.is_valid() {
        return;
    }
    let flags = of.trace_flags() & TraceFlags::SAMPLED;
    let parent = format!("00-{}-{}-{:02x}", of.trace_id(), of.span_id(), flags.to_u8());
    let Ok(parent) = HeaderValue::try_from(parent) else { return };
    headers.insert(TRACEPARENT, parent);
    // the state belongs to the parent
    headers.remove(TRACESTATE);
    let state = of.trace_state().header();
    if !state.is_empty()
        && let Ok(state) = HeaderValue::try_from(state)
    {
        headers.insert(TRACESTATE, state);
    }
}

/// The context of the span that has sent these headers; `None`: they name none.
pub(super) fn extract(headers: &HeaderMap) -> Option<SpanContext> {
    let mut parents = headers.get_all(TRACEPARENT).iter();
    let (Some(parent), None) = (parents.next(), parents.next()) else { return None };
    let mut fields = parent.to_str().ok()?.trim().split('-');
    let version = hex(fields.next()?, 2)?;
    let (trace, span) = (hex(fields.next()?, 32)?, hex(fields.next()?, 16)?);
    let flags = hex(fields.next()?, 2)?;
    // later versions may have more fields, ff is none
    if version == "ff" || (version == "00" && fields.next().is_some()) {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let context = SpanContext::new(trace, span, flags, true, state(headers));
    context.is_valid().then_some(context)
}

/// A state that is malformed is none; the parent counts all the same.
fn state(headers: &HeaderMap) -> TraceState {
    let values: Option<Vec<_>> =
        headers.get_all(TRACESTATE).iter().map(|value| value.to_str().ok()).collect();
    let joined = values.unwrap_or_default().join(",");
    TraceState::from_str(&joined).unwrap_or_default()
}

/// So many hexadecimal digits in lower case.
fn hex(text: &str, digits: usize) -> Option<&str> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (text.len() == digits && text.bytes().all(is_hex)).then_some(text)
}

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn extracted(parent: &str) -> Option<SpanContext> {
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, parent.parse().unwrap());
        extract(&headers)
    }

    #[test]
    fn context_is_read_as_it_was_written() {
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, PARENT.parse().unwrap());
        headers.append(TRACESTATE, "a=1".parse().unwrap());
        headers.append(TRACESTATE, "b=2".parse().unwrap());
        let context = extract(&headers).unwrap();
        assert!(context.is_remote() && context.is_sampled());
        let mut written = HeaderMap::new();
        written.insert(TRACEPARENT, "of the caller".parse().unwrap());
        inject(&context, &mut written);
        assert_eq!(written[TRACEPARENT], PARENT);
        assert_eq!(written[TRACESTATE], "a=1,b=2");
    }

    #[test]
    fn malformed_parent_is_none() {
        let later = PARENT.replacen("00", "01", 1);
        assert!(extracted(&format!("{later}-more")).is_some());
        let rows = [
            "",
            "00",
            &PARENT.replacen("00", "ff", 1),
            &format!("{PARENT}-more"),
            &PARENT.to_uppercase(),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b-01",
        ];
        for parent in rows {
            assert!(extracted(parent).is_none(), "{parent}");
        }
        let mut twice = HeaderMap::new();
        twice.append(TRACEPARENT, PARENT.parse().unwrap());
        twice.append(TRACEPARENT, PARENT.parse().unwrap());
        assert!(extract(&twice).is_none());
    }
}
