//! Rewrites of paths and authorities.

use http::Request;

use super::*;
use crate::config::RegexRewrite;
use crate::policy::matcher::{CapturingRegex, FullRegex};

fn exact(path: &str) -> PathMatcher {
    PathMatcher::Exact { path: path.to_owned(), ignore_case: false }
}

fn prefix(prefix: &str) -> PathMatcher {
    PathMatcher::Prefix { prefix: prefix.to_owned(), ignore_case: false }
}

fn segments(prefix: &str) -> PathMatcher {
    PathMatcher::SeparatedPrefix { prefix: prefix.to_owned(), ignore_case: false }
}

fn regex(pattern: &str, replacement: &str) -> RegexRewrite {
    RegexRewrite::new(CapturingRegex::new(pattern).unwrap(), replacement)
}

fn rewritten(
    rewrite: &Rewrite,
    matcher: &PathMatcher,
    request: Request<()>,
) -> Result<Parts, InvalidRewrite> {
    let (mut head, ()) = request.into_parts();
    Rewriter::new(rewrite, matcher).unwrap().apply(&mut head)?;
    Ok(head)
}

/// C60.
///
/// Proves: RT-60.
#[test]
fn prefix_rewrite_replaces_the_matched_part_and_keeps_the_query() {
    let any = PathMatcher::Regex(FullRegex::new(".*").unwrap());
    let rows = [
        (exact("/a/b"), "/c", "/a/b?x=/a", "/c?x=/a"),
        (any, "/c", "/a/b?q", "/c?q"),
        (prefix("/a"), "/c", "/a/b?x=1", "/c/b?x=1"),
        (prefix("/a/"), "/", "/a/b", "/b"),
        (prefix(""), "/all", "/b", "/all/b"),
        (segments("/p"), "/", "/p", "/"),
        (segments("/p"), "/", "/p/", "/"),
        (segments("/p"), "/", "/p/x", "/x"),
        (segments("/p"), "/q/", "/p/x", "/q/x"),
        (segments("/p"), "/q", "/p/x?p", "/q/x?p"),
        // an empty text is a text
        (segments("/p"), "", "/p", "/"),
        (segments("/p"), "", "/p/x", "/x"),
        (prefix("/p"), "", "/px", "/x"),
    ];
    for (matcher, by, before, after) in rows {
        let rewrite = Rewrite::default().with_path(PathRewrite::Prefix(by.to_owned()));
        let head = rewritten(&rewrite, &matcher, Request::get(before).body(()).unwrap()).unwrap();
        assert_eq!(head.uri, after, "{before} of {matcher} with {by:?}");
        assert_eq!(head.headers["x-envoy-original-path"], before);
    }
    assert!(!segments("/p").matches("/px"));
}

/// Proves: RT-61.
#[test]
fn regex_rewrite_replaces_all_matches_in_the_path_alone() {
    let rewrite = Rewrite::default().with_path(PathRewrite::Regex(regex("/v([0-9])", "/${1}$$")));
    let request = Request::get("/v1/a/v2?next=/v3").body(()).unwrap();
    assert_eq!(rewritten(&rewrite, &prefix(""), request).unwrap().uri, "/1$/a/2$?next=/v3");
    let spaced = Rewrite::default().with_path(PathRewrite::Regex(regex("a", " ")));
    let error = rewritten(&spaced, &prefix(""), Request::get("/a").body(()).unwrap()).unwrap_err();
    assert_eq!(error, InvalidRewrite::Path("/ ".to_owned()));
}

/// Proves: RT-62.
#[test]
fn host_comes_from_the_configuration_a_header_or_the_path() {
    let literal = HostRewrite::Literal("new.test:8".parse().unwrap());
    let header = || HostRewrite::Header(HeaderName::from_static("x-host"));
    let rows = [
        (literal, None, Ok(("new.test:8", true))),
        (HostRewrite::Literal("old.test".parse().unwrap()), None, Ok(("old.test", false))),
        (header(), Some("x.test"), Ok(("x.test", true))),
        (header(), Some(""), Ok(("old.test", false))),
        (header(), None, Ok(("old.test", false))),
        (header(), Some("a b"), Err(InvalidRewrite::Host("a b".to_owned()))),
        (HostRewrite::Path(regex("^/([a-z]+)/.*$", "${1}.test")), None, Ok(("svc.test", true))),
    ];
    for (host, value, expected) in rows {
        let mut request = Request::get("http://old.test/svc/x");
        if let Some(value) = value {
            request = request.header("x-host", value);
        }
        let mut rewrite = Rewrite::default().with_host(host.clone());
        rewrite.append_forwarded_host = true;
        let head = rewritten(&rewrite, &prefix(""), request.body(()).unwrap());
        let found = head.as_ref().map(|head| {
            let forwarded = head.headers.get("x-forwarded-host");
            assert!(forwarded.is_none_or(|before| before == "old.test"));
            (head.uri.authority().unwrap().as_str(), forwarded.is_some())
        });
        assert_eq!(found.map_err(Clone::clone), expected, "{host:?}");
    }
}
