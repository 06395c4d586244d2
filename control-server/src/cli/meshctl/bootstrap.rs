//! `meshctl bootstrap`: the JSON that tells a gRPC library where its control server is.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::providers::Providers;
use super::server_address::ServerAddress;
use crate::cli::{Output, output};
use crate::resources::SERVER_LISTENERS;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Language of the program that will read it
    #[arg(long, value_name = "LANG")]
    lang: Language,
    /// Address of the control server's xDS listener, as the program reaches it; several with commas, the preferred one first
    #[arg(
        long,
        value_name = "ADDR",
        env = "MESHCTL_XDS",
        default_value = "127.0.0.1:15010",
        value_delimiter = ',',
        value_parser = clap::value_parser!(ServerAddress)
    )]
    xds: Vec<ServerAddress>,
    /// The node's id, shown by `meshctl clients` [default: sidecar~127.0.0.1~HOSTNAME.NAMESPACE~...]
    #[arg(long, value_name = "ID")]
    node_id: Option<String>,
    /// Namespace of the program
    #[arg(long, value_name = "NAME", default_value = "default")]
    namespace: String,
    /// Where the program runs: region[/zone[/sub_zone]]
    #[arg(long, value_name = "LOCALITY", value_parser = parse_locality)]
    locality: Option<Locality>,
    /// A label of the program, NAME=VALUE, which sourceLabels and workloadSelector go by; may be repeated
    #[arg(long = "label", value_name = "LABEL", value_parser = parse_label)]
    labels: Vec<(String, String)>,
    /// A service that policies with the action CUSTOM name, HOST:PORT[=CA]: with the file of an authority it is called with TLS, without
    /// in plaintext; may be repeated
    #[arg(long = "check-service", value_name = "SERVICE", value_parser = parse_check_service)]
    check_services: Vec<CheckService>,
    #[command(flatten)]
    providers: Providers,
    #[command(flatten)]
    tls: Tls,
}

/// TLS to the control server; without any of these the connection is plaintext.
#[derive(Debug, Args)]
struct Tls {
    /// The authority that issues the control server's certificate, PEM; the program reads it [default: the system's with --tls]
    #[arg(long = "tls-ca", value_name = "FILE")]
    authority: Option<PathBuf>,
    /// The program's certificate, PEM, if the control server asks for one
    #[arg(long = "tls-cert", value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// Its private key, PEM, in the same folder
    #[arg(long = "tls-key", value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// TLS with the authorities that the system trusts
    #[arg(long)]
    tls: bool,
}

impl Tls {
    fn credentials(&self) -> Value {
        let files = [
            ("ca_certificate_file", &self.authority),
            ("certificate_file", &self.certificate),
            ("private_key_file", &self.key),
        ];
        let config: Map<String, Value> = files
            .into_iter()
            .filter_map(|(name, path)| Some((name.to_owned(), path.as_ref()?.to_string_lossy().into())))
            .collect();
        match self.tls || !config.is_empty() {
            true => json!({ "type": "tls", "config": config }),
            false => json!({ "type": "insecure" }),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    Rust,
    Go,
    Java,
    Python,
    Node,
    Cpp,
}

/// A service that servers may ask about calls.
#[derive(Debug, Clone)]
struct CheckService {
    target: ServerAddress,
    /// Of the service's certificate, PEM; `None`: plaintext.
    authority: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Locality {
    region: String,
    zone: String,
    sub_zone: String,
}

pub(super) fn run(arguments: &Arguments, output: Output) -> ExitCode {
    output.json(&bootstrap(arguments));
    output::note(&format!("{}\n\n{USAGE}", hint(arguments.lang)));
    ExitCode::SUCCESS
}

fn bootstrap(arguments: &Arguments) -> Value {
    let namespace = &arguments.namespace;
    // An empty one says nothing, but gRPC for Node refuses a node without.
    let locality = arguments.locality.as_ref().map_or_else(
        || json!({}),
        |Locality { region, zone, sub_zone }| json!({ "region": region, "zone": zone, "sub_zone": sub_zone }),
    );
    let mut metadata = json!({ "NAMESPACE": namespace, "GENERATOR": "meshctl" });
    if !arguments.labels.is_empty() {
        let labels = arguments.labels.iter().map(|(name, value)| (name.clone(), value.as_str().into()));
        metadata["LABELS"] = Value::Object(labels.collect());
    }
    let node = json!({
        "id": arguments.node_id.clone().unwrap_or_else(|| default_node_id(namespace)),
        "cluster": namespace,
        "locality": locality,
        "metadata": metadata,
    });
    let server = |address: &ServerAddress| {
        json!({
            "server_uri": address.to_string(),
            "channel_creds": [arguments.tls.credentials()],
            "server_features": ["xds_v3"],
        })
    };
    let mut bootstrap = json!({
        "xds_servers": arguments.xds.iter().map(server).collect::<Vec<_>>(),
        "node": node,
        "server_listener_resource_name_template": format!("{SERVER_LISTENERS}%s"),
    });
    let providers = arguments.providers.to_json();
    if !providers.is_empty() {
        bootstrap["certificate_providers"] = Value::Object(providers);
    }
    if !arguments.check_services.is_empty() {
        let services = arguments.check_services.iter().map(CheckService::entry);
        bootstrap["allowed_grpc_services"] = Value::Object(services.collect());
    }
    bootstrap
}

impl CheckService {
    fn entry(&self) -> (String, Value) {
        let credentials = match &self.authority {
            None => json!({ "type": "insecure" }),
            Some(file) => json!({ "type": "tls", "config": { "ca_certificate_file": file } }),
        };
        (self.target.to_string(), json!({ "channel_creds": [credentials] }))
    }
}

/// The form that Istio's tools expect of a proxyless workload.
fn default_node_id(namespace: &str) -> String {
    let host =
        std::env::var("HOSTNAME").or_else(|_| std::fs::read_to_string("/etc/hostname")).unwrap_or_default();
    let host = if host.trim().is_empty() { "workload" } else { host.trim() };
    format!("sidecar~127.0.0.1~{host}.{namespace}~{namespace}.svc.cluster.local")
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

fn parse_check_service(text: &str) -> Result<CheckService, String> {
    let (target, authority) = match text.split_once('=') {
        Some((_, "")) => return Err("expected HOST:PORT or HOST:PORT=FILE".to_owned()),
        Some((target, file)) => (target, Some(PathBuf::from(file))),
        None => (text, None),
    };
    let target = target.parse::<ServerAddress>().map_err(|error| error.to_string())?;
    Ok(CheckService { target, authority })
}

fn parse_locality(text: &str) -> Result<Locality, String> {
    let parts: Vec<_> = text.split('/').collect();
    let part = |index: usize| parts.get(index).copied().unwrap_or_default().to_owned();
    match parts.len() {
        1..=3 if !parts[0].is_empty() => Ok(Locality { region: part(0), zone: part(1), sub_zone: part(2) }),
        _ => Err("expected region, region/zone or region/zone/sub_zone".to_owned()),
    }
}

fn hint(language: Language) -> &'static str {
    match language {
        Language::Rust => "Rust: add the crate mesh-tonic and call MeshChannel::connect(\"xds:///NAME\").",
        Language::Go => {
            "Go: import _ \"google.golang.org/grpc/xds\" and call grpc.NewClient(\"xds:///NAME\", ...)."
        }
        Language::Java => {
            "Java: add io.grpc:grpc-xds and call Grpc.newChannelBuilder(\"xds:///NAME\", credentials)."
        }
        Language::Python => "Python: pip install grpcio, and call grpc.insecure_channel(\"xds:///NAME\").",
        Language::Node => {
            "Node.js: npm install @grpc/grpc-js-xds, call require('@grpc/grpc-js-xds').register() once, and use the target \"xds:///NAME\"."
        }
        Language::Cpp => {
            "C++: link grpc++ (xDS is built in) and call grpc::CreateChannel(\"xds:///NAME\", credentials)."
        }
    }
}

const USAGE: &str = "\
Write the JSON to a file and start the program with
  GRPC_XDS_BOOTSTRAP=/path/of/the/file
or give the JSON itself in
  GRPC_XDS_BOOTSTRAP_CONFIG
NAME is a service of the configuration, for example a host of a ServiceEntry, with its port.";

#[cfg(test)]
mod tests {
    use xds_client::bootstrap::{Bootstrap, ChannelCredentials};

    use super::*;

    fn arguments(locality: Option<&str>) -> Arguments {
        Arguments {
            lang: Language::Rust,
            xds: vec!["127.0.0.1:4711".parse().unwrap()],
            node_id: None,
            namespace: "shop".to_owned(),
            locality: locality.map(|text| parse_locality(text).unwrap()),
            labels: Vec::new(),
            check_services: Vec::new(),
            providers: Providers::default(),
            tls: Tls { authority: None, certificate: None, key: None, tls: false },
        }
    }

    #[test]
    fn labels_stand_in_the_metadata_of_the_node() {
        let labels = ["app=web", "tier="].map(|text| parse_label(text).unwrap()).to_vec();
        let json = bootstrap(&Arguments { labels, ..arguments(None) });
        assert_eq!(json["node"]["metadata"]["LABELS"], json!({ "app": "web", "tier": "" }));
        assert_eq!(bootstrap(&arguments(None))["node"]["metadata"]["LABELS"], Value::Null);
        assert!(["app", "=web"].iter().all(|text| parse_label(text).is_err()));
    }

    #[test]
    fn credentials_are_as_grpc_reads_them() {
        let path = |name: &str| Some(PathBuf::from(name));
        for (tls, expected) in [
            (
                Tls { authority: None, certificate: None, key: None, tls: false },
                json!({ "type": "insecure" }),
            ),
            (
                Tls { authority: None, certificate: None, key: None, tls: true },
                json!({ "type": "tls", "config": {} }),
            ),
            (
                Tls { authority: path("/f/ca"), certificate: path("/f/c"), key: path("/f/k"), tls: false },
                json!({ "type": "tls", "config": {
                    "ca_certificate_file": "/f/ca", "certificate_file": "/f/c", "private_key_file": "/f/k",
                } }),
            ),
        ] {
            let json = bootstrap(&Arguments { tls, ..arguments(None) });
            assert_eq!(json["xds_servers"][0]["channel_creds"], json!([expected]));
            Bootstrap::from_json(&json.to_string()).unwrap();
        }
    }

    #[test]
    fn generated_bootstrap_is_read_by_xds_client() {
        for locality in [None, Some("eu"), Some("eu/a"), Some("eu/a/1")] {
            let json = bootstrap(&arguments(locality)).to_string();
            let read = Bootstrap::from_json(&json).unwrap();
            assert_eq!(read.servers()[0].uri(), "127.0.0.1:4711");
            let address = "0.0.0.0:50051".parse().unwrap();
            let listener = read.server_listener_name(address).unwrap();
            assert_eq!(listener, "xds.istio.io/grpc/lds/inbound/0.0.0.0:50051");
        }
    }

    #[test]
    fn servers_stand_in_the_order_of_the_flag() {
        let xds = ["a.example:1", "unix:/run/xds.sock"].map(|text| text.parse().unwrap()).to_vec();
        let json = bootstrap(&Arguments { xds, ..arguments(None) });
        let read = Bootstrap::from_json(&json.to_string()).unwrap();
        let found: Vec<&str> = read.servers().iter().map(|server| server.uri()).collect();
        assert_eq!(found, ["a.example:1", "unix:/run/xds.sock"]);
    }

    #[test]
    fn certificate_providers_are_those_that_clusters_and_listeners_name() {
        let providers = Providers::parse(&["--certificates", "/run/mesh"]);
        let json = bootstrap(&Arguments { providers, ..arguments(None) });
        let read = Bootstrap::from_json(&json.to_string()).unwrap();
        let names: Vec<&str> = read.certificate_providers().keys().map(|name| &**name).collect();
        assert_eq!(names, [crate::model::IDENTITY]);
        assert_eq!(bootstrap(&arguments(None))["certificate_providers"], Value::Null);
    }

    #[test]
    fn check_services_are_allowed_with_the_credentials_of_the_flag() {
        let check_services =
            ["authz.shop:9000", "[::1]:9=/f/ca.pem"].map(|text| parse_check_service(text).unwrap());
        let json = bootstrap(&Arguments { check_services: check_services.to_vec(), ..arguments(None) });
        let read = Bootstrap::from_json(&json.to_string()).unwrap();
        let allowed = read.allowed_grpc_services();
        assert_eq!(allowed.keys().collect::<Vec<_>>(), ["[::1]:9", "authz.shop:9000"]);
        assert_eq!(allowed["authz.shop:9000"].channel_credentials(), &ChannelCredentials::Insecure);
        let with_tls = &json["allowed_grpc_services"]["[::1]:9"]["channel_creds"][0];
        assert_eq!(*with_tls, json!({ "type": "tls", "config": { "ca_certificate_file": "/f/ca.pem" } }));
        assert_eq!(bootstrap(&arguments(None))["allowed_grpc_services"], Value::Null);
        assert!(
            ["", "authz", "authz:1=", "http://authz:1"].iter().all(|text| parse_check_service(text).is_err())
        );
    }

    #[test]
    fn node_has_a_locality_even_if_nothing_is_known_of_it() {
        assert_eq!(bootstrap(&arguments(None))["node"]["locality"], json!({}));
        let eu = bootstrap(&arguments(Some("eu")));
        assert_eq!(eu["node"]["locality"]["region"], "eu");
    }

    #[test]
    fn localities_have_one_to_three_parts() {
        let parts = |text| parse_locality(text).map(|found| (found.region, found.zone, found.sub_zone)).ok();
        let of =
            |region: &str, zone: &str, sub_zone: &str| Some((region.into(), zone.into(), sub_zone.into()));
        assert_eq!(parts("eu"), of("eu", "", ""));
        assert_eq!(parts("eu/a/1"), of("eu", "a", "1"));
        assert_eq!(parts(""), None);
        assert_eq!(parts("a/b/c/d"), None);
    }
}
