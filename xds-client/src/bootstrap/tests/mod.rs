//! Tables: one row per rule and spelling.

mod credentials;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::time::Duration;

use mesh_core::config::LocalityId;
use serde_json::{Value, json};
use xds_proto::envoy::config::core::v3::node::UserAgentVersionType;
use xds_proto::google::protobuf::value::Kind;

use super::load::load;
use mesh_core::certificate::UnknownRevocation;

use super::*;

fn servers() -> Value {
    json!([{"server_uri": "one:1", "channel_creds": [{"type": "insecure"}]}])
}

/// A valid bootstrap with these keys added or replaced.
fn with(extra: Value) -> Result<Bootstrap, BootstrapError> {
    Bootstrap::from_json(&document(extra))
}

fn document(extra: Value) -> String {
    let mut document = json!({"xds_servers": servers()});
    if let Value::Object(extra) = extra {
        document.as_object_mut().unwrap().extend(extra);
    }
    document.to_string()
}

/// The same with every guard that is off by default on.
fn guarded(extra: Value) -> Result<Bootstrap, BootstrapError> {
    let guards = FeatureGuards {
        bootstrap_call_creds: true,
        endpoint_fallback: true,
        mtls_spiffe: true,
        ..FeatureGuards::default()
    };
    Bootstrap::from_json_with(&document(extra), guards)
}

fn with_server(server: Value) -> Result<Bootstrap, BootstrapError> {
    let mut extra = json!({});
    extra["xds_servers"] = Value::Array(vec![server]);
    with(extra)
}

fn with_creds(creds: Value) -> Result<ChannelCredentials, BootstrapError> {
    let mut server = json!({"server_uri": "one:1"});
    server["channel_creds"] = creds;
    let bootstrap = with_server(server)?;
    Ok(bootstrap.servers()[0].credentials().clone())
}

/// The error's path and reason hold these texts.
#[track_caller]
fn refused<T: std::fmt::Debug>(row: &str, result: Result<T, BootstrapError>, at: &str, because: &str) {
    match result {
        Err(BootstrapError::Invalid { path, reason, .. }) => {
            assert_eq!(path, at, "{row}: path, with reason {reason}");
            assert!(reason.contains(because), "{row}: reason is {reason:?}, expected {because:?}");
        }
        other => panic!("{row}: expected an error at {at}, got {other:?}"),
    }
}

/// Loads from these variables and files.
fn load_from(variables: &[(&str, &str)], files: &[(&str, &str)]) -> Result<Bootstrap, BootstrapError> {
    let variables: BTreeMap<_, _> = variables.iter().copied().collect();
    let files: BTreeMap<_, _> = files.iter().copied().collect();
    load(
        |name| variables.get(name).map(OsString::from),
        |path: &Path| match files.get(path.to_str().unwrap()) {
            Some(text) => Ok(text.as_bytes().to_vec()),
            None => Err(io::Error::from(io::ErrorKind::NotFound)),
        },
    )
}

fn minimal(uri: &str) -> String {
    json!({"xds_servers": [{"server_uri": uri, "channel_creds": [{"type": "insecure"}]}]}).to_string()
}

/// Proves: BS-01, BS-02.
#[test]
fn path_variable_wins_over_inline_json_even_when_unreadable() {
    let (file, inline) = (minimal("file:1"), minimal("inline:1"));
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], Option<&'a str>);
    let rows: [Row<'_>; 5] = [
        ("path", &[("GRPC_XDS_BOOTSTRAP", "/b.json")], Some("file:1")),
        ("inline", &[("GRPC_XDS_BOOTSTRAP_CONFIG", &inline)], Some("inline:1")),
        (
            "both",
            &[("GRPC_XDS_BOOTSTRAP", "/b.json"), ("GRPC_XDS_BOOTSTRAP_CONFIG", &inline)],
            Some("file:1"),
        ),
        (
            "empty path is unset",
            &[("GRPC_XDS_BOOTSTRAP", ""), ("GRPC_XDS_BOOTSTRAP_CONFIG", &inline)],
            Some("inline:1"),
        ),
        (
            "unreadable path",
            &[("GRPC_XDS_BOOTSTRAP", "/none.json"), ("GRPC_XDS_BOOTSTRAP_CONFIG", &inline)],
            None,
        ),
    ];
    for (row, variables, expected) in rows {
        match (load_from(variables, &[("/b.json", &file)]), expected) {
            (Ok(bootstrap), Some(uri)) => assert_eq!(bootstrap.servers()[0].uri(), uri, "{row}"),
            (Err(error @ BootstrapError::Unreadable { .. }), None) => {
                assert_eq!(error.to_string(), "GRPC_XDS_BOOTSTRAP: cannot read /none.json", "{row}");
            }
            (other, _) => panic!("{row}: {other:?}"),
        }
    }
}

/// Proves: BS-03.
#[test]
fn no_variable_is_an_error_that_names_both() {
    let text = load_from(&[], &[]).unwrap_err().to_string();
    assert!(text.contains("GRPC_XDS_BOOTSTRAP ") && text.contains("GRPC_XDS_BOOTSTRAP_CONFIG"), "{text}");
}

#[test]
fn bad_json_is_an_error_with_line_and_column() {
    let text =
        load_from(&[("GRPC_XDS_BOOTSTRAP", "/b")], &[("/b", "{\n  \"xds_servers\": [,]\n}")]).unwrap_err();
    assert_eq!(text.to_string(), "xDS bootstrap file /b: line 2, column 19: expected value");
    let text = load_from(&[("GRPC_XDS_BOOTSTRAP_CONFIG", "{")], &[]).unwrap_err().to_string();
    assert!(text.starts_with("xDS bootstrap in GRPC_XDS_BOOTSTRAP_CONFIG: line 1, column 1: EOF"), "{text}");
}

/// Proves: BS-05.
#[test]
fn unknown_keys_are_ignored_and_wrong_types_are_not() {
    let unknown = with(json!({
        "new": 1,
        "xds_servers": [{"server_uri": "a:1", "new": {}, "channel_creds": [{"type": "insecure", "new": []}]}],
        "node": {"id": "n", "new": 1, "locality": {"new": 2}},
        "certificate_providers": {"p": {"plugin_name": "file_watcher", "new": 1,
            "config": {"ca_certificate_file": "/ca", "new": false}}},
        "authorities": {"a": {"new": 1}},
        "node_missing": null,
    }));
    assert!(unknown.is_ok(), "{unknown:?}");
    for (extra, path, reason) in wrong_types_of_servers().into_iter().chain(wrong_types_of_the_rest()) {
        refused(&extra.to_string(), with(extra), path, reason);
    }
    refused("root", Bootstrap::from_json("[]"), "", "invalid type: sequence, expected an object");
}

type Wrong = Vec<(Value, &'static str, &'static str)>;

fn wrong_types_of_servers() -> Wrong {
    vec![
        (json!({"xds_servers": {}}), "xds_servers", "invalid type: map, expected a sequence"),
        (
            json!({"xds_servers": ["a:1"]}),
            "xds_servers[0]",
            "invalid type: string \"a:1\", expected an object",
        ),
        (
            json!({"xds_servers": [["a:1", [["insecure", null]]]]}),
            "xds_servers[0]",
            "invalid type: sequence, expected an object",
        ),
        (json!({"xds_servers": [null]}), "xds_servers[0]", "invalid type: null, expected an object"),
        (
            json!({"xds_servers": [{"server_uri": 1}]}),
            "xds_servers[0].server_uri",
            "invalid type: integer `1`, expected a string",
        ),
        (
            json!({"xds_servers": [{"server_uri": "a", "channel_creds": {}}]}),
            "xds_servers[0].channel_creds",
            "expected a sequence",
        ),
        (
            json!({"xds_servers": [{"server_uri": "a", "channel_creds": [{"type": "insecure"}, {"type": 1}]}]}),
            "xds_servers[0].channel_creds[1].type",
            "expected a string",
        ),
        (
            json!({"xds_servers": [{"server_uri": "a", "channel_creds": [{"type": "insecure"}], "server_features": "x"}]}),
            "xds_servers[0].server_features",
            "expected a sequence",
        ),
    ]
}

fn wrong_types_of_the_rest() -> Wrong {
    let provider = |config: Value| json!({"certificate_providers": {"p": {"plugin_name": "file_watcher", "config": config}}});
    vec![
        (json!({"node": []}), "node", "invalid type: sequence, expected an object"),
        (json!({"node": {"id": true}}), "node.id", "invalid type: boolean `true`, expected a string"),
        (json!({"node": {"cluster": 1}}), "node.cluster", "expected a string"),
        (json!({"node": {"locality": 1}}), "node.locality", "expected an object"),
        (json!({"node": {"locality": {"zone": 1}}}), "node.locality.zone", "expected a string"),
        (json!({"node": {"metadata": "x"}}), "node.metadata", "invalid type: string \"x\", expected a map"),
        (
            json!({"certificate_providers": []}),
            "certificate_providers",
            "invalid type: sequence, expected a map",
        ),
        (json!({"certificate_providers": {"p": 1}}), "certificate_providers[\"p\"]", "expected an object"),
        (
            json!({"certificate_providers": {"p": {"plugin_name": 1}}}),
            "certificate_providers[\"p\"].plugin_name",
            "expected a string",
        ),
        (provider(json!([])), "certificate_providers[\"p\"].config", "expected an object"),
        (
            provider(json!({"ca_certificate_file": 1})),
            "certificate_providers[\"p\"].config.ca_certificate_file",
            "expected a string",
        ),
        (
            json!({"client_default_listener_resource_name_template": 1}),
            "client_default_listener_resource_name_template",
            "expected a string",
        ),
        (
            json!({"server_listener_resource_name_template": []}),
            "server_listener_resource_name_template",
            "expected a string",
        ),
        (json!({"authorities": []}), "authorities", "invalid type: sequence, expected a map"),
        (
            json!({"authorities": {"a": {"xds_servers": {}}}}),
            "authorities[\"a\"].xds_servers",
            "expected a sequence",
        ),
    ]
}

/// Proves: BS-07, BS-08.
#[test]
fn servers_are_needed_and_keep_their_order() {
    refused("absent", Bootstrap::from_json("{}"), "", "missing field `xds_servers`");
    refused("empty", with(json!({"xds_servers": []})), "xds_servers", "at least one server");
    let creds = json!([{"type": "insecure"}]);
    refused(
        "no uri",
        with_server(json!({"channel_creds": creds})),
        "xds_servers[0]",
        "missing field `server_uri`",
    );
    let empty = with_server(json!({"server_uri": "", "channel_creds": creds}));
    refused("empty uri", empty, "xds_servers[0].server_uri", "must not be empty");
    let nested = json!({"authorities": {"a": {"xds_servers": [{"server_uri": "", "channel_creds": creds}]}}});
    refused("authority", with(nested), "authorities[\"a\"].xds_servers[0].server_uri", "must not be empty");
    refused("code", Bootstrap::builder().build(), "xds_servers", "at least one server");

    let list = ["b:1", "a:1", "c:1"].map(|uri| json!({"server_uri": uri, "channel_creds": creds}));
    let bootstrap = with(json!({"xds_servers": list})).unwrap();
    let uris: Vec<_> = bootstrap.servers().iter().map(ServerConfig::uri).collect();
    assert_eq!(uris, ["b:1", "a:1", "c:1"]);
}

/// Proves: BS-17, BS-18.
/// Decodes: BS-19, BS-21.
#[test]
fn features_are_known_by_name_and_anything_else_is_ignored() {
    let features = |list: Value| {
        let server =
            json!({"server_uri": "a:1", "channel_creds": [{"type": "insecure"}], "server_features": list});
        with_server(server).unwrap().servers()[0].features()
    };
    let none = ServerFeatures::default();
    let rows = [
        (json!([]), none),
        (json!(["xds_v3"]), none),
        (json!(["mystery", 1, null, {"a": 1}, ["trusted_xds_server"], true]), none),
        (json!([1, "ignore_resource_deletion"]), ServerFeatures { ignore_resource_deletion: true, ..none }),
        (json!(["trusted_xds_server", {}]), ServerFeatures { trusted_xds_server: true, ..none }),
        (json!(["fail_on_data_errors"]), ServerFeatures { fail_on_data_errors: true, ..none }),
        (
            json!(["resource_timer_is_transient_error"]),
            ServerFeatures { resource_timer_is_transient_error: true, ..none },
        ),
        (json!(["incremental_xds"]), ServerFeatures { incremental_xds: true, ..none }),
    ];
    for (list, expected) in rows {
        assert_eq!(features(list.clone()), expected, "{list}");
    }
}

/// Proves: BS-24, BS-25, BS-26, BS-27, BS-28, BS-29.
#[test]
fn node_on_the_wire_combines_operator_and_library() {
    let absent = with(json!({})).unwrap().node().to_proto();
    let full = with(json!({"node": {
        "id": "n", "cluster": "c", "locality": {"region": "r", "zone": "z", "sub_zone": "s"},
        "metadata": {"text": "a", "number": 1.5, "list": [true, null], "deep": {"x": "y"}},
        "user_agent_name": "other", "user_agent_version": "9", "client_features": ["other"],
    }}));
    let node = full.unwrap().node().clone();
    let proto = node.to_proto();
    let features = [
        "envoy.lb.does_not_support_overprovisioning",
        "xds.config.resource-in-sotw",
        "xds.endpoint.supports_lb_endpoint_collection",
        "xds.config.supports-resource-ttl",
    ];
    for node in [&absent, &proto] {
        assert_eq!(node.user_agent_name, "mesh-rs");
        let version = UserAgentVersionType::UserAgentVersion(env!("CARGO_PKG_VERSION").into());
        assert_eq!(node.user_agent_version_type, Some(version));
        assert_eq!(node.client_features, features);
    }
    assert_eq!((absent.id.as_str(), absent.locality, absent.metadata), ("", None, None));
    let empty = with(json!({"node": {"locality": {}}})).unwrap().node().to_proto();
    assert_eq!(empty.locality, None);

    assert_eq!((proto.id.as_str(), proto.cluster.as_str()), ("n", "c"));
    let locality = proto.locality.unwrap();
    assert_eq!(
        (locality.region.as_str(), locality.zone.as_str(), locality.sub_zone.as_str()),
        ("r", "z", "s")
    );
    let metadata = proto.metadata.unwrap().fields;
    assert_eq!(metadata["number"].kind, Some(Kind::NumberValue(1.5)));
    assert!(matches!(&metadata["list"].kind, Some(Kind::ListValue(list)) if list.values.len() == 2));
    assert!(
        matches!(&metadata["deep"].kind, Some(Kind::StructValue(fields)) if fields.fields.contains_key("x"))
    );
    let reporting = node.to_load_report_proto().client_features;
    assert_eq!(reporting[..4], features);
    assert_eq!(reporting[4], "envoy.lrs.supports_send_all_clusters");
    let camel = with(json!({"node": {"locality": {"subZone": "s"}}})).unwrap();
    assert_eq!(camel.node().locality, LocalityId { sub_zone: "s".into(), ..LocalityId::default() });
}

/// Proves: BS-31, BS-33.
/// Decodes: BS-30, BS-32.
#[test]
fn certificate_providers_of_known_plugins_are_checked() {
    let provider = |plugin: &str, config: Value| {
        guarded(json!({"certificate_providers": {"p": {"plugin_name": plugin, "config": config}}}))
    };
    assert!(provider("mystery", json!({"whatever": 1})).unwrap().certificate_providers().is_empty());
    let identity = |certificate: &str, key: &str| {
        Some(IdentityFiles { certificate: certificate.into(), private_key: key.into() })
    };
    let none = FileWatcher::default();
    assert_eq!(none.refresh_interval, Duration::from_secs(600));
    let rows = [
        (
            json!({"ca_certificate_file": "/ca"}),
            FileWatcher { ca_certificate_file: Some("/ca".into()), ..none.clone() },
        ),
        (
            json!({"certificate_file": "/d/c", "private_key_file": "/d/k", "refresh_interval": "5s", "new": 1}),
            FileWatcher {
                identity: identity("/d/c", "/d/k"),
                refresh_interval: Duration::from_secs(5),
                ..none.clone()
            },
        ),
        (
            json!({"spiffe_trust_bundle_map_file": "/map"}),
            FileWatcher { spiffe_trust_bundle_map_file: Some("/map".into()), ..none },
        ),
    ];
    for (config, expected) in rows {
        let bootstrap = provider("file_watcher", config.clone()).unwrap();
        assert_eq!(
            bootstrap.certificate_providers()["p"],
            CertificateProvider::FileWatcher(expected),
            "{config}"
        );
    }
    let at = "certificate_providers[\"p\"].config";
    let rows = [
        (json!({}), at, "at least one of"),
        (json!({"refresh_interval": "1s"}), at, "at least one of"),
        (json!({"certificate_file": "/c"}), at, "must be set together"),
        (json!({"private_key_file": "/k", "ca_certificate_file": "/ca"}), at, "must be set together"),
        (json!({"certificate_file": "/a/c", "private_key_file": "/b/k"}), at, "same directory"),
        (
            json!({"ca_certificate_file": "/ca", "refresh_interval": "1m"}),
            "certificate_providers[\"p\"].config.refresh_interval",
            "expected seconds",
        ),
    ];
    for (config, path, reason) in rows {
        refused(&config.to_string(), provider("file_watcher", config), path, reason);
    }
    let missing = with(json!({"certificate_providers": {"p": {"plugin_name": "file_watcher"}}}));
    refused("no config", missing, "certificate_providers[\"p\"]", "missing field `config`");
    let unnamed = with(json!({"certificate_providers": {"p": {}}}));
    refused("no plugin", unnamed, "certificate_providers[\"p\"]", "missing field `plugin_name`");
    // BS-36: equal configurations share a provider.
    let spelled =
        provider("file_watcher", json!({"ca_certificate_file": "/ca", "refresh_interval": "600.0s"}));
    let short = provider("file_watcher", json!({"ca_certificate_file": "/ca"}));
    assert_eq!(spelled.unwrap().certificate_providers()["p"], short.unwrap().certificate_providers()["p"]);
}

fn file_watcher(bootstrap: &Bootstrap) -> FileWatcher {
    match &bootstrap.certificate_providers()["p"] {
        CertificateProvider::FileWatcher(files) => files.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn agent_of_the_workload_api_is_named_by_its_socket() {
    let provider = |config: Value| {
        with(
            json!({"certificate_providers": {"p": {"plugin_name": "spiffe_workload_api", "config": config}}}),
        )
    };
    let bootstrap = provider(json!({"socket": "unix:///run/agent.sock", "new": 1})).unwrap();
    let agent = WorkloadApi::new("unix:///run/agent.sock");
    assert_eq!(bootstrap.certificate_providers()["p"], CertificateProvider::WorkloadApi(agent));
    let at = "certificate_providers[\"p\"].config";
    refused("none", provider(json!({})), at, "missing field `socket`");
    for socket in ["", "/run/agent.sock", "unix://agent.sock", "tcp://127.0.0.1:1"] {
        refused(socket, provider(json!({"socket": socket})), at, "expected unix:///path");
    }
}

#[test]
fn directory_of_revocation_lists_is_read_with_its_setting() {
    let read = |unknown: Option<&str>| {
        let mut config = json!({"ca_certificate_file": "/ca", "crl_directory": "/crl"});
        if let Some(unknown) = unknown {
            config["crl_unknown"] = json!(unknown);
        }
        let bootstrap = guarded(json!({"certificate_providers": {"p":
            {"plugin_name": "file_watcher", "config": config}}}))?;
        let files = file_watcher(&bootstrap);
        Ok::<_, BootstrapError>(files.revocation.unwrap())
    };
    let refusing = RevocationDirectory::new("/crl");
    assert_eq!(read(None).unwrap(), refusing);
    assert_eq!(read(Some("refuse")).unwrap(), refusing);
    let accepting = RevocationDirectory { unknown: UnknownRevocation::Accept, ..refusing };
    assert_eq!(read(Some("accept")).unwrap(), accepting);
    let at = "certificate_providers[\"p\"].config";
    assert!(read(Some("ignore")).unwrap_err().to_string().contains(&format!("{at}.crl_unknown")));
    let without = guarded(json!({"certificate_providers": {"p": {"plugin_name": "file_watcher", "config":
        {"ca_certificate_file": "/ca", "crl_unknown": "accept"}}}}));
    refused("no directory", without, at, "missing field `crl_directory`");
}

/// Decodes: BS-35.
#[test]
fn spiffe_map_replaces_the_roots() {
    let json = json!({"certificate_providers": {"p": {"plugin_name": "file_watcher", "config":
        {"ca_certificate_file": "/ca", "spiffe_trust_bundle_map_file": "/map"}}}});
    let files = |bootstrap: Result<Bootstrap, BootstrapError>| {
        let files = file_watcher(&bootstrap.unwrap());
        (files.ca_certificate_file, files.spiffe_trust_bundle_map_file)
    };
    assert_eq!(files(guarded(json.clone())), (None, Some("/map".into())));
    assert_eq!(files(with(json)), (Some("/ca".into()), None), "not read without its guard");
    let only = json!({"certificate_providers": {"p": {"plugin_name": "file_watcher", "config":
        {"spiffe_trust_bundle_map_file": "/map"}}}});
    refused("guard off", with(only), "certificate_providers[\"p\"].config", "at least one of");
}

/// Decodes: BS-45.
#[test]
fn authority_may_fall_back_on_reachability_only() {
    let json =
        |value: Value| json!({"authorities": {"a": {"fallback_on_reachability_only": value}, "b": {}}});
    let flags = |bootstrap: Result<Bootstrap, BootstrapError>| {
        let bootstrap = bootstrap.unwrap();
        ["a", "b"].map(|name| bootstrap.authorities()[name].fallback_on_reachability_only())
    };
    assert_eq!(flags(guarded(json(json!(true)))), [true, false]);
    assert_eq!(flags(guarded(json(json!(false)))), [false, false]);
    assert_eq!(flags(with(json(json!(true)))), [false, false], "not read without its guard");
    assert_eq!(flags(with(json(json!("x")))), [false, false]);
    let wrong = guarded(json(json!("true")));
    refused("type", wrong, "authorities[\"a\"].fallback_on_reachability_only", "expected a boolean");
    let code = Bootstrap::builder().server(ServerConfig::insecure("a:1")).fallback_on_reachability_only("b");
    refused("code", code.build(), "authorities[\"b\"]", "no such authority");
}

/// Proves: BS-47.
#[test]
fn environment_guards_accept_only_true_and_false() {
    let default = FeatureGuards::default();
    for (text, expected) in [("true", true), ("TRUE", true), ("False", false), ("false", false)] {
        let guards = FeatureGuards::read(|_| Some(text.to_owned()));
        assert_eq!(guards.authority_rewrite, expected, "{text}");
        assert_eq!(guards.endpoint_hash_key_backward_compat, expected, "{text}");
        assert_eq!(guards.bootstrap_call_creds, expected, "{text}");
        assert_eq!(guards.endpoint_fallback, expected, "{text}");
        assert_eq!(guards.mtls_spiffe, expected, "{text}");
    }
    for text in ["", "1", "0", "yes", "no", " true", "t", "on"] {
        assert_eq!(FeatureGuards::read(|_| Some(text.to_owned())), default, "{text:?}");
    }
    assert_eq!(FeatureGuards::read(|_| None), default);
    let json = minimal("a:1");
    let variables = [
        ("GRPC_XDS_BOOTSTRAP_CONFIG", json.as_str()),
        ("GRPC_XDS_ENDPOINT_HASH_KEY_BACKWARD_COMPAT", "True"),
    ];
    assert!(load_from(&variables, &[]).unwrap().guards().endpoint_hash_key_backward_compat);
}
