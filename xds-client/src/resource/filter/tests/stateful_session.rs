//! Session affinity.

use std::time::Duration;

use mesh_core::filter::{LostSession, SessionCookie, SessionState, StatefulSession, StatefulSessionOverride};
use xds_proto::envoy::config::core::v3::TypedExtensionConfig;
use xds_proto::envoy::extensions::filters::http::stateful_session::v3::stateful_session_per_route::Override;
use xds_proto::envoy::extensions::filters::http::stateful_session::v3::{
    StatefulSession as Proto, StatefulSessionPerRoute,
};
use xds_proto::envoy::extensions::http::stateful_session::cookie::v3::CookieBasedSessionState;
use xds_proto::envoy::extensions::http::stateful_session::header::v3::HeaderBasedSessionState;
use xds_proto::envoy::r#type::http::v3::Cookie;

use super::*;
use crate::resource::testing::seconds;

fn with(state: Any) -> Proto {
    let session_state =
        Some(TypedExtensionConfig { typed_config: Some(state), ..TypedExtensionConfig::default() });
    Proto { session_state, ..Proto::default() }
}

fn cookie(name: &str, ttl: Option<i64>, path: &str) -> Proto {
    let cookie = Cookie { name: name.into(), ttl: ttl.and_then(seconds), path: path.into() };
    with(pack_any(CookieBasedSessionState { cookie: Some(cookie) }))
}

fn over(over: Option<Override>) -> Result<StatefulSessionOverride, Invalid> {
    let message = StatefulSessionPerRoute { r#override: over };
    let FilterOverride::Config(config) = one(&pack_any(message), &registry())?.unwrap() else {
        panic!("it is a configuration")
    };
    Ok(config.downcast_ref::<StatefulSessionOverride>().unwrap().clone())
}

/// The same in a listener and in a route.
fn read(session: Proto) -> Result<StatefulSession, Invalid> {
    let read = chain(&[http_filter("s", pack_any(session.clone())), router("r")], Side::Client, &registry());
    match over(Some(Override::StatefulSession(session))) {
        Ok(StatefulSessionOverride::Config(session)) => {
            assert_eq!(read?, [FilterInstance::new("s", session.clone())]);
            Ok(session)
        }
        Ok(other) => panic!("{other:?}"),
        Err(error) => {
            assert!(read.is_err());
            Err(error)
        }
    }
}

/// Proves: HF-24.
#[test]
fn sessions_are_kept_in_cookies_or_headers() {
    let plain = SessionCookie::new("c");
    let state = |cookie| StatefulSession::new(SessionState::Cookie(cookie));
    assert_eq!(read(cookie("c", None, "")).unwrap(), state(plain.clone()));
    let mut full = plain;
    (full.ttl, full.path) = (Duration::from_secs(7), "/p".into());
    assert_eq!(read(cookie("c", Some(7), "/p")).unwrap(), state(full));
    let strict = read(Proto { strict: true, ..cookie("c", None, "") }).unwrap();
    assert_eq!(strict.lost, LostSession::Fail);
    let header = with(pack_any(HeaderBasedSessionState { name: "X-Session".into() }));
    let expected = StatefulSession::new(SessionState::Header("x-session".parse().unwrap()));
    assert_eq!(read(header).unwrap(), expected);
    assert_eq!(read(Proto::default()).unwrap(), StatefulSession::new(None));
}

/// Proves: HF-24.
#[test]
fn what_is_no_session_is_refused() {
    let no_cookie = with(pack_any(CookieBasedSessionState { cookie: None }));
    let no_header = with(pack_any(HeaderBasedSessionState { name: String::new() }));
    for (name, session) in [
        ("no name", cookie("", None, "")),
        ("a name with a space", cookie("a b", None, "")),
        ("a path that ends the cookie", cookie("c", None, "/;x")),
        ("a negative time", cookie("c", Some(-1), "")),
        ("no cookie", no_cookie),
        ("no header", no_header),
        ("another state", with(unknown_any())),
        (
            "a state without a type",
            Proto { session_state: Some(TypedExtensionConfig::default()), ..Proto::default() },
        ),
    ] {
        assert!(read(session).is_err(), "{name}");
    }
}

/// Proves: HF-24.
#[test]
fn overrides_switch_sessions_off_or_have_their_own() {
    assert_eq!(over(Some(Override::Disabled(true))).unwrap(), StatefulSessionOverride::Disabled);
    let own = over(Some(Override::StatefulSession(cookie("c", None, "")))).unwrap();
    let expected = StatefulSession::new(SessionState::Cookie(SessionCookie::new("c")));
    assert_eq!(own, StatefulSessionOverride::Config(expected));
    assert!(over(None).is_err());
    assert!(over(Some(Override::Disabled(false))).is_err());
}
