//! Which tokens of a request must be believed, and where they are.

use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderName, Uri};

use super::*;

/// A provider `a` with the first key, and `b` of another issuer with the second; `c` takes its tokens from a header of its own.
fn providers() -> [JwtProvider; 3] {
    let other = |issuer: &str, key| JwtProvider::new(issuer, keys(&[&TokenIssuer::new(issuer, key)]));
    let own = TokenLocation::Header { name: HeaderName::from_static("x-token"), prefix: String::new() };
    [provider(), other("b", 1), JwtProvider { locations: vec![own], ..other("c", 2) }]
}

fn of(issuer: &str, key: usize) -> String {
    TokenIssuer::new(issuer, key).sign(&json!({"iss": issuer, "sub": "me"}))
}

/// Rows J1 and J2 of the identity cases.
///
/// Proves: HF-44.
#[test]
fn every_token_that_is_found_must_be_believed() {
    use JwtRequirement::{AllOf, AllowMissing, AllowMissingOrFailed, AnyOf};
    let (a, b, c, bad) = (signed(&json!({})), of("b", 1), of("c", 2), signed(&json!({"exp": 1})));
    let or_missing = || AnyOf(vec![only("a"), AllowMissing]);
    let either = || AnyOf(vec![only("a"), only("b")]);
    let any_or_missing = || AnyOf(vec![only("a"), only("b"), only("c"), AllowMissing]);
    let bearer = |token: &str| ("authorization", format!("Bearer {token}"));
    let own = |token: &str| ("x-token", token.to_owned());
    type Row = (JwtRequirement, Vec<(&'static str, String)>, Result<Vec<usize>, JwtError>);
    let rows: Vec<Row> = vec![
        (only("a"), vec![bearer(&a)], Ok(vec![0])),
        (only("a"), vec![], Err(JwtError::Missing)),
        (only("a"), vec![bearer(&b)], Err(JwtError::Issuer)),
        // J1: missing means that there is no token at all
        (or_missing(), vec![], Ok(vec![])),
        (or_missing(), vec![bearer(&a)], Ok(vec![0])),
        (or_missing(), vec![bearer(&b)], Err(JwtError::Issuer)),
        (or_missing(), vec![bearer(&bad)], Err(JwtError::Expired)),
        (or_missing(), vec![bearer("")], Err(JwtError::Malformed)),
        (or_missing(), vec![("authorization", "bearer x".to_owned())], Err(JwtError::Malformed)),
        (or_missing(), vec![("authorization", "Basic x".to_owned())], Ok(vec![])),
        (AllowMissing, vec![], Ok(vec![])),
        (AllowMissing, vec![bearer(&b)], Ok(vec![1])),
        (AllowMissing, vec![bearer(&bad)], Err(JwtError::Expired)),
        (either(), vec![bearer(&b)], Ok(vec![1])),
        (either(), vec![], Err(JwtError::Missing)),
        (either(), vec![bearer(&bad)], Err(JwtError::Expired)),
        // J2: one good token is not enough
        (or_missing(), vec![bearer(&a), bearer(&a)], Err(JwtError::Several)),
        (or_missing(), vec![bearer(&a), bearer(&bad)], Err(JwtError::Several)),
        (or_missing(), vec![bearer(&a), ("authorization", "Basic x".to_owned())], Err(JwtError::Several)),
        (or_missing(), vec![("authorization", format!("Basic x, Bearer {a}"))], Err(JwtError::Several)),
        (any_or_missing(), vec![bearer(&a), own(&bad)], Err(JwtError::Several)),
        (any_or_missing(), vec![bearer(&a), own(&c)], Err(JwtError::Several)),
        (any_or_missing(), vec![own(&c)], Ok(vec![2])),
        (AllOf(vec![only("a"), only("c")]), vec![bearer(&a), own(&c)], Ok(vec![0, 2])),
        (AllOf(vec![only("a"), only("c")]), vec![bearer(&a)], Err(JwtError::Missing)),
        (AllOf(vec![only("a"), only("c")]), vec![bearer(&a), own(&a)], Err(JwtError::Issuer)),
        (AllowMissingOrFailed, vec![], Ok(vec![])),
        (AllowMissingOrFailed, vec![bearer(&bad)], Ok(vec![])),
        (AllowMissingOrFailed, vec![bearer(&a)], Ok(vec![0])),
        // where nothing asks for tokens of `c`, they are not looked at
        (or_missing(), vec![own("anything")], Ok(vec![])),
    ];
    for (requirement, headers, expected) in rows {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let head = head("http://svc/pkg.Svc/Get", &headers);
        assert_eq!(check(&providers(), &requirement, &head), expected, "{requirement:?} {headers:?}");
    }
}

#[test]
fn audiences_of_a_requirement_take_the_place_of_the_providers() {
    let provider = provider().with_audiences(audiences(&["us"]));
    let requirement = JwtRequirement::Provider("a".to_owned(), Some(audiences(&["here"])));
    for (audience, expected) in [("here", Ok(vec![0])), ("us", Err(JwtError::Audience))] {
        let head = bearer(&signed(&json!({"aud": audience})));
        assert_eq!(check(std::slice::from_ref(&provider), &requirement, &head), expected, "{audience}");
    }
}

/// Row J2 of the identity cases: a good token in the query, a bad one in the header.
#[test]
fn tokens_are_found_in_headers_queries_and_cookies_and_removed_there() {
    let (good, bad) = (signed(&json!({})), signed(&json!({"exp": 1})));
    let all = JwtProvider {
        locations: vec![
            TokenLocation::Header { name: AUTHORIZATION, prefix: "Bearer ".to_owned() },
            TokenLocation::Parameter("access_token".to_owned()),
            TokenLocation::Cookie("session".to_owned()),
        ],
        ..provider()
    };
    let check = |head: &Parts| check(std::slice::from_ref(&all), &only("a"), head);
    let uri = |token: &str| format!("http://svc/pkg.Svc/Get?x=1&access%5Ftoken={token}&y=2");
    let cookie = |token: &str| format!("a=1; session={token}; b=2");
    assert_eq!(check(&head(&uri(&good), &[])), Ok(vec![0]));
    assert_eq!(check(&head(&uri(&bad), &[])), Err(JwtError::Expired));
    assert_eq!(check(&head("http://svc/p", &[("cookie", &cookie(&good))])), Ok(vec![0]));
    let authorization = format!("Bearer {bad}");
    let both = head(&uri(&good), &[("authorization", &authorization)]);
    assert_eq!(check(&both), Err(JwtError::Several));
    let twice = head(&format!("{}&access_token={good}", uri(&good)), &[]);
    assert_eq!(check(&twice), Err(JwtError::Several));

    let mut full = head(&uri(&good), &[("authorization", &authorization), ("cookie", &cookie(&good))]);
    all.locations.iter().for_each(|location| remove(location, &mut full));
    assert_eq!(full.uri, Uri::from_static("http://svc/pkg.Svc/Get?x=1&y=2"));
    assert_eq!((full.headers.get(AUTHORIZATION), full.headers[COOKIE].as_bytes()), (None, &b"a=1; b=2"[..]));
    let mut only_token = head(&format!("http://svc/p?access_token={good}"), &[("cookie", "session=x")]);
    all.locations.iter().for_each(|location| remove(location, &mut only_token));
    assert_eq!((only_token.uri, only_token.headers.len()), (Uri::from_static("http://svc/p"), 0));
}
