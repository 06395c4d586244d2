//! Request hashes.

use http::{HeaderMap, HeaderName, HeaderValue};
use twox_hash::XxHash64;

use crate::config::HashPolicy;
use crate::policy::matcher::{CapturingRegex, HeaderView};
use crate::policy::route::{RequestHead, hash_policy};

const CHANNEL: u64 = 0x0123_4567_89ab_cdef;

fn header(name: &'static str, terminal: bool) -> HashPolicy {
    HashPolicy::Header { name: HeaderName::from_static(name), rewrite: None, terminal }
}

fn rewritten(name: &'static str, pattern: &str, replacement: &str) -> HashPolicy {
    let rewrite = Some((CapturingRegex::new(pattern).unwrap(), replacement.to_owned()));
    HashPolicy::Header { name: HeaderName::from_static(name), rewrite, terminal: false }
}

fn channel(terminal: bool) -> HashPolicy {
    HashPolicy::ChannelId { terminal }
}

fn xx(text: &str) -> u64 {
    XxHash64::oneshot(0, text.as_bytes())
}

fn check(rows: impl IntoIterator<Item = (&'static str, Vec<HashPolicy>, Option<u64>)>) {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("x-user", "alice"),
        ("x-many", "a"),
        ("x-many", "b"),
        ("x-key-bin", "AAAA"),
        ("x-path", "/users/17/posts/3"),
    ] {
        headers.append(name, HeaderValue::from_static(value));
    }
    let head = RequestHead { authority: "", path: "/", query: None, headers: HeaderView::Grpc(&headers) };
    for (name, policies, expected) in rows {
        assert_eq!(hash_policy::hash(&policies, &head, CHANNEL), expected, "{name}");
    }
}

/// Proves: RT-69.
#[test]
fn hashes_are_xxh64_and_combined_by_rotation() {
    // the reference value of XXH64 for an empty input
    assert_eq!(xx(""), 0xef46_db37_51d8_e999);
    check([
        ("one", vec![header("x-user", false)], Some(xx("alice"))),
        ("two", vec![header("x-user", false), channel(false)], Some(xx("alice").rotate_left(1) ^ CHANNEL)),
        ("skipped at first", vec![header("x-none", false), header("x-user", false)], Some(xx("alice"))),
        ("skipped at last", vec![header("x-user", false), header("x-none", false)], Some(xx("alice"))),
    ]);
}

/// Proves: RT-70.
#[test]
fn terminal_policy_stops_only_when_there_is_a_hash() {
    check([
        ("stops", vec![header("x-user", true), channel(false)], Some(xx("alice"))),
        ("has no value itself", vec![header("x-none", true), channel(false)], Some(CHANNEL)),
        (
            "an earlier one has",
            vec![header("x-user", false), header("x-none", true), channel(false)],
            Some(xx("alice")),
        ),
    ]);
}

/// Proves: RT-71.
#[test]
fn header_policies_join_and_rewrite_but_never_read_binary_headers() {
    check([
        ("joined", vec![header("x-many", false)], Some(xx("a,b"))),
        ("binary", vec![header("x-key-bin", false)], None),
        ("content type", vec![header("content-type", false)], Some(xx("application/grpc"))),
        ("every match", vec![rewritten("x-path", r"\d+", "N")], Some(xx("/users/N/posts/N"))),
        ("a group", vec![rewritten("x-path", r"^/users/(\d+)/.*$", "${1}")], Some(xx("17"))),
        ("no match", vec![rewritten("x-user", "z", "y")], Some(xx("alice"))),
    ]);
}

/// RT-72, RT-73: the channel's number as it is; nothing when no policy has a value.
#[test]
fn channel_id_is_the_hash_and_missing_header_gives_none() {
    check([
        ("channel", vec![channel(false)], Some(CHANNEL)),
        ("none", vec![], None),
        ("no value", vec![header("x-none", false)], None),
    ]);
}
