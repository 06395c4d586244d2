//! Credentials of connections and of calls.

use super::*;

fn jwt(path: &str) -> CallCredentials {
    CallCredentials::JwtTokenFile(path.into())
}

/// Proves: BS-09, BS-10, BS-11.
#[test]
fn first_supported_credentials_count_and_only_they_are_checked() {
    let at = "xds_servers[0].channel_creds";
    let absent = with_server(json!({"server_uri": "a:1"}));
    refused("absent", absent, "xds_servers[0]", "missing field `channel_creds`");
    refused("empty", with_creds(json!([])), at, "no supported type");
    let unsupported = with_creds(json!([{"type": "google_secret"}, {"type": "mystery"}]));
    refused(
        "unsupported",
        unsupported,
        at,
        "expected \"insecure\", \"tls\" or \"google_default\", found [\"google_secret\", \"mystery\"]",
    );

    let tls = ChannelCredentials::Tls(TlsCredentials::default());
    let bad = json!({"type": "tls", "config": {"certificate_file": "/only-this"}});
    let rows = [
        (json!([{"type": "mystery", "config": {"tls": 1}}, {"type": "tls"}, {"type": "insecure"}]), tls),
        (json!([{"type": "insecure"}, {"type": "tls"}]), ChannelCredentials::Insecure),
        (json!([{"type": "insecure"}, bad]), ChannelCredentials::Insecure),
        (json!([{"type": "insecure", "config": {"whatever": 1}}]), ChannelCredentials::Insecure),
        (
            json!([{"type": "google_default", "config": 1}, {"type": "tls"}]),
            ChannelCredentials::GoogleDefault,
        ),
    ];
    for (creds, expected) in rows {
        assert_eq!(with_creds(creds.clone()).unwrap(), expected, "{creds}");
    }
    let at = "xds_servers[0].channel_creds[0].config";
    refused("selected and wrong", with_creds(json!([bad, {"type": "insecure"}])), at, "must be set together");
}

/// Decodes: BS-12.
#[test]
fn tls_credentials_have_files_and_an_interval() {
    let identity = IdentityFiles { certificate: "/c".into(), private_key: "/k".into() };
    let default = TlsCredentials::default();
    assert_eq!(default.refresh_interval, Duration::from_secs(600));
    let rows = [
        (json!({}), default.clone()),
        (json!({"ca_certificate_file": ""}), default.clone()),
        (
            json!({"ca_certificate_file": "/ca"}),
            TlsCredentials { ca_certificate_file: Some("/ca".into()), ..default.clone() },
        ),
        (
            json!({"certificate_file": "/c", "private_key_file": "/k", "refresh_interval": "0.25s"}),
            TlsCredentials {
                identity: Some(identity),
                refresh_interval: Duration::from_millis(250),
                ..default
            },
        ),
    ];
    for (config, expected) in rows {
        let creds = with_creds(json!([{"type": "tls", "config": config}])).unwrap();
        assert_eq!(creds, ChannelCredentials::Tls(expected), "{config}");
    }
    let at = "xds_servers[0].channel_creds[0].config";
    for config in [json!({"certificate_file": "/c"}), json!({"private_key_file": "/k"})] {
        let row = config.to_string();
        refused(&row, with_creds(json!([{"type": "tls", "config": config}])), at, "must be set together");
    }
    let at = "xds_servers[0].channel_creds[0].config.refresh_interval";
    for text in
        ["", "600", "s", "-1s", "0s", "1.s", ".5s", "1.0000000001s", "1e3s", "315576000001s", "1 s", "1h"]
    {
        let config = json!({"refresh_interval": text});
        refused(text, with_creds(json!([{"type": "tls", "config": config}])), at, "expected seconds");
    }
}

fn with_call_creds(creds: &Value) -> Value {
    let mut server = json!({"server_uri": "one:1", "channel_creds": [{"type": "insecure"}]});
    server["call_creds"] = creds.clone();
    json!({"xds_servers": [server]})
}

/// Decodes: BS-13.
#[test]
fn supported_call_credentials_count_if_enabled() {
    let token = |path: &str| json!({"type": "jwt_token_file", "config": {"jwt_token_file": path}});
    let rows = [
        (json!(null), vec![]),
        (json!([]), vec![]),
        (json!([{"type": "mystery", "config": 1}]), vec![]),
        (json!([token("/a")]), vec![jwt("/a")]),
        (json!([token("/a"), {"type": "mystery"}, token("/b")]), vec![jwt("/a"), jwt("/b")]),
    ];
    for (creds, expected) in rows {
        let bootstrap = guarded(with_call_creds(&creds)).unwrap();
        assert_eq!(bootstrap.servers()[0].call_credentials(), expected, "{creds}");
        let bootstrap = with(with_call_creds(&creds)).unwrap();
        assert_eq!(bootstrap.servers()[0].call_credentials(), [], "{creds} without the guard");
    }
    let at = "xds_servers[0].call_creds";
    let rows = [
        (json!({}), "", "expected a sequence"),
        (json!([{"config": {}}]), "[0]", "missing field `type`"),
        (json!([{"type": "jwt_token_file"}]), "[0]", "missing field `config`"),
        (json!([{"type": "jwt_token_file", "config": {}}]), "[0].config", "missing field `jwt_token_file`"),
        (json!([token("/a"), token("")]), "[1].config.jwt_token_file", "must not be empty"),
        (
            json!([{"type": "jwt_token_file", "config": {"jwt_token_file": 1}}]),
            "[0].config.jwt_token_file",
            "expected a string",
        ),
    ];
    for (creds, below, reason) in rows {
        let bootstrap = guarded(with_call_creds(&creds));
        refused(&creds.to_string(), bootstrap, &format!("{at}{below}"), reason);
    }
}

/// Decodes: BS-46.
#[test]
fn allowed_services_have_credentials_like_servers() {
    let insecure = json!([{"type": "mystery"}, {"type": "insecure"}]);
    let token = json!([{"type": "jwt_token_file", "config": {"jwt_token_file": "/t"}}]);
    let services = json!({"allowed_grpc_services": {
        "dns:///authz:1": {"channel_creds": insecure, "call_creds": token, "new": 1},
        "rls:2": {"channel_creds": [{"type": "tls"}]},
    }});
    let bootstrap = guarded(services).unwrap();
    let services = bootstrap.allowed_grpc_services();
    let authz = AllowedGrpcService::new(ChannelCredentials::Insecure).with_call_credentials(vec![jwt("/t")]);
    assert_eq!(services["dns:///authz:1"], authz);
    assert_eq!(authz.call_credentials(), [jwt("/t")]);
    let tls = ChannelCredentials::Tls(TlsCredentials::default());
    assert_eq!(services["rls:2"].channel_credentials(), &tls);
    assert_eq!(services.len(), 2);
    assert!(with(json!({})).unwrap().allowed_grpc_services().is_empty());

    let at = "allowed_grpc_services[\"a:1\"]";
    let rows = [
        (json!(null), String::new(), "invalid type: null, expected an object"),
        (json!({}), String::new(), "missing field `channel_creds`"),
        (json!({"channel_creds": []}), ".channel_creds".to_owned(), "no supported type"),
        (
            json!({"channel_creds": [{"type": "tls", "config": {"certificate_file": "/c"}}]}),
            ".channel_creds[0].config".to_owned(),
            "must be set together",
        ),
    ];
    for (entry, below, reason) in rows {
        let bootstrap = with(json!({"allowed_grpc_services": {"a:1": entry}}));
        refused(reason, bootstrap, &format!("{at}{below}"), reason);
    }
}

/// Proves: BS-23.
#[test]
fn servers_are_the_same_when_uri_credentials_and_known_features_are() {
    let server = |uri: &str, creds: Value, features: Value| {
        let server = json!({"server_uri": uri, "channel_creds": creds, "server_features": features});
        with_server(server).unwrap().servers()[0].clone()
    };
    let plain = json!([{"type": "insecure"}]);
    let tls = |config: Value| json!([{"type": "tls", "config": config}]);
    let one = server("a:1", plain.clone(), json!([]));
    assert_eq!(
        one,
        server("a:1", json!([{"type": "other"}, {"type": "insecure"}]), json!(["xds_v3", "new"]))
    );
    assert_ne!(one, server("a:2", plain.clone(), json!([])));
    assert_ne!(one, server("a:1", tls(json!({})), json!([])));
    assert_ne!(one, server("a:1", plain, json!(["trusted_xds_server"])));
    let calling = |path: &str| ServerConfig::insecure("a:1").with_call_credentials(vec![jwt(path)]);
    assert_ne!(one, calling("/t"));
    assert_ne!(calling("/u"), calling("/t"));
    assert_eq!(calling("/t"), calling("/t"));
    let secure = server("a:1", tls(json!({"ca_certificate_file": "/a"})), json!([]));
    assert_eq!(secure, server("a:1", tls(json!({"ca_certificate_file": "/a", "new": 1})), json!([])));
    assert_ne!(secure, server("a:1", tls(json!({"ca_certificate_file": "/b"})), json!([])));
}
