//! Targets and names of listeners.

use serde_json::{Value, json};

use super::{Bootstrap, BootstrapError, TargetError};

fn with(extra: Value) -> Result<Bootstrap, BootstrapError> {
    let mut document =
        json!({"xds_servers": [{"server_uri": "top:1", "channel_creds": [{"type": "insecure"}]}]});
    if let Value::Object(extra) = extra {
        document.as_object_mut().unwrap().extend(extra);
    }
    Bootstrap::from_json(&document.to_string())
}

fn listener(bootstrap: &Bootstrap, target: &str) -> Result<String, TargetError> {
    bootstrap.target(target).and_then(|target| bootstrap.listener_name(&target))
}

/// Proves: BS-42, BS-44.
#[test]
fn targets_have_an_authority_a_name_and_a_data_plane_authority() {
    let bootstrap = with(json!({"authorities": {"auth": {}, "a b": {}}})).unwrap();
    let rows = [
        ("greeter", None, "greeter", "greeter"),
        ("greeter:50051", None, "greeter:50051", "greeter:50051"),
        ("xds:greeter", None, "greeter", "greeter"),
        ("xds:greeter:50051", None, "greeter:50051", "greeter:50051"),
        ("xds:///greeter", None, "greeter", "greeter"),
        ("xds:///a/b/c", None, "a/b/c", "a%2Fb%2Fc"),
        ("xds:///a%2Fb%20c", None, "a/b c", "a%2Fb%20c"),
        ("xds:///[::1]:80", None, "[::1]:80", "[::1]:80"),
        ("xds://auth/greeter", Some("auth"), "greeter", "greeter"),
        ("xds://auth//x", Some("auth"), "/x", "%2Fx"),
        ("xds://a%20b/x/y", Some("a b"), "x/y", "x%2Fy"),
        ("a/b", None, "a/b", "a%2Fb"),
        (
            "outbound|80||greeter.default",
            None,
            "outbound|80||greeter.default",
            "outbound%7C80%7C%7Cgreeter.default",
        ),
    ];
    for (text, authority, name, data_plane) in rows {
        let target = bootstrap.target(text).unwrap();
        // A leading slash of the path is dropped once, with or without an authority.
        let name = name.strip_prefix('/').unwrap_or(name);
        let data_plane = data_plane.strip_prefix("%2F").unwrap_or(data_plane);
        assert_eq!(target.xds_authority.as_deref(), authority, "{text}");
        assert_eq!((target.name.as_str(), target.authority.as_str()), (name, data_plane), "{text}");
    }
    let rows = [
        ("", "the name is empty"),
        ("xds:", "the name is empty"),
        ("xds:///", "the name is empty"),
        ("xds://auth", "the name is empty"),
        ("xds://auth/", "the name is empty"),
        ("xds:///a?b=c", "neither query nor fragment"),
        ("xds:///a#b", "neither query nor fragment"),
        ("xds:///%ff", "not UTF-8"),
        ("dns:///greeter", "the scheme must be xds, as in xds:///greeter"),
        ("dns:greeter", "the scheme must be xds, as in xds:///greeter"),
        ("https://greeter", "the scheme must be xds"),
        (
            "xds://other/greeter",
            "xDS authority \"other\" is not in the bootstrap, which has [\"a b\", \"auth\"]",
        ),
    ];
    for (text, reason) in rows {
        let error = bootstrap.target(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}

/// Proves: BS-37, BS-38.
#[test]
fn default_template_names_the_listener() {
    let rows = [
        (None, "xds:///a/b", "a/b"),
        (Some("%s"), "greeter", "greeter"),
        (Some("fixed"), "greeter", "fixed"),
        (Some("%s/x/%s"), "xds:///a%20b", "a b/x/a b"),
        (Some("a-%s"), "xds:///%25s", "a-%s"),
        (Some("xdstp:///T/%s"), "xds:///a/b%20c%3F%25%5B%7C", "xdstp:///T/a/b%20c%3F%25%5B%7C"),
        (
            Some("xdstp:///T/%s?q=%s"),
            "xds:///-._~!$&'()*+,;=:@/",
            "xdstp:///T/-._~!$&'()*+,;=:@/?q=-._~!$&'()*+,;=:@/",
        ),
        (Some("xdstp:///T/%s"), "xds:///%C3%A4", "xdstp:///T/%C3%A4"),
    ];
    for (template, target, expected) in rows {
        let extra =
            json!({"client_default_listener_resource_name_template": template, "authorities": {"": {}}});
        let name = listener(&with(extra).unwrap(), target).unwrap();
        assert_eq!(name, expected, "{template:?} {target}");
    }
}

/// Decodes: BS-39.
#[test]
fn servers_need_a_template_of_their_own() {
    let address = |text: &str| text.parse().unwrap();
    let none = with(json!({})).unwrap().server_listener_name(address("0.0.0.0:8080"));
    assert_eq!(none, Err(TargetError::NoServerTemplate));
    let named = |template: &str, at: &str| {
        let bootstrap = with(json!({"server_listener_resource_name_template": template})).unwrap();
        bootstrap.server_listener_name(address(at)).unwrap()
    };
    assert_eq!(named("grpc/server?x=%s", "0.0.0.0:8080"), "grpc/server?x=0.0.0.0:8080");
    assert_eq!(named("%s", "[::]:8080"), "[::]:8080");
    assert_eq!(named("xdstp://a/%s", "[::]:8080"), "xdstp://a/%5B::%5D:8080");
}

/// Proves: BS-40, BS-41.
#[test]
fn authorities_have_servers_and_a_template_of_their_own_or_the_defaults() {
    let creds = json!([{"type": "insecure"}]);
    let bootstrap = with(json!({"authorities": {
        "plain": {},
        "a b/c": {"xds_servers": []},
        "own": {
            "client_listener_resource_name_template": "xdstp://own/x/%s?k=v",
            "xds_servers": [{"server_uri": "own:1", "channel_creds": creds}],
        },
    }}));
    let bootstrap = bootstrap.unwrap();
    let rows = [
        ("xds://plain/n%20m", "xdstp://plain/envoy.config.listener.v3.Listener/n%20m", "plain", "top:1"),
        ("xds://a%20b%2Fc/n", "xdstp://a%20b%2Fc/envoy.config.listener.v3.Listener/n", "a b/c", "top:1"),
        ("xds://own/n", "xdstp://own/x/n?k=v", "own", "own:1"),
    ];
    for (target, name, authority, server) in rows {
        assert_eq!(listener(&bootstrap, target).unwrap(), name);
        assert_eq!(bootstrap.authorities()[authority].servers()[0].uri(), server);
    }
    for template in ["%s", "xdstp:///x/%s", "xdstp://b/x/%s", "xdstp://ab/%s", "xdstp://a", "XDSTP://a/%s"] {
        let extra = json!({"authorities": {"a": {"client_listener_resource_name_template": template}}});
        let error = with(extra).unwrap_err().to_string();
        let expected = "authorities[\"a\"].client_listener_resource_name_template: ";
        assert!(
            error.contains(expected) && error.contains("must start with \"xdstp://a/\""),
            "{template}: {error}"
        );
    }
}

/// Proves: BS-43.
#[test]
fn default_template_names_known_authority_without_template() {
    let extra = |template: &str| {
        json!({
            "client_default_listener_resource_name_template": template,
            "authorities": {"": {}, "known": {"client_listener_resource_name_template": "xdstp://known/own/%s"}},
        })
    };
    let rows = [
        ("xdstp://known/t/%s", Ok("xdstp://known/t/n")),
        ("xdstp:///t/%s", Ok("xdstp:///t/n")),
        ("xdstp://%6bnown/t/%s", Ok("xdstp://%6bnown/t/n")),
        ("xdstp://unknown/t/%s", Err("unknown")),
        ("xdstp://%s/t", Err("n")),
    ];
    for (template, expected) in rows {
        match (listener(&with(extra(template)).unwrap(), "xds:///n"), expected) {
            (Ok(name), Ok(expected)) => assert_eq!(name, expected, "{template}"),
            (Err(TargetError::UnknownAuthority { authority, .. }), Err(expected)) => {
                assert_eq!(authority, expected, "{template}");
            }
            (other, _) => panic!("{template}: {other:?}"),
        }
    }
    let no_empty_key =
        with(json!({"client_default_listener_resource_name_template": "xdstp:///t/%s"})).unwrap();
    assert!(listener(&no_empty_key, "n").is_err());
}
