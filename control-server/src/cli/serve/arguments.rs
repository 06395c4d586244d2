//! The flags of `control-server` and the environment variables behind them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::cli::duration;
use crate::pipeline::{self, Links, LoadReporting, MaxRemoval, OnInvalid, Settings};
use crate::server::{ClientAuth, Options, StreamLimits, TlsOptions};

/// The management plane of the mesh: reads configuration, serves xDS to gRPC clients and Envoy.
#[derive(Debug, Parser)]
#[command(name = "control-server", version, arg_required_else_help = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Read a folder of YAML, watch it, and serve it until SIGTERM or SIGINT
    Serve(Serve),
}

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Folder with YAML and JSON files, subfolders included; it is watched. May be given several times: of two objects of the same
    /// kind, namespace and name the one of the earlier folder is in use. What is no folder as it stands is several, with `:` between
    #[arg(long, value_name = "DIR", env = "CONTROL_SERVER_CONFIG_DIR", default_value = "config")]
    config_dir: Vec<PathBuf>,
    /// Read links in that folder that lead out of it, too; links that stay inside are always read
    #[arg(long, env = "CONTROL_SERVER_FOLLOW_LINKS")]
    follow_links: bool,
    /// Where xDS is served, in plaintext; port 0 takes a free one
    #[arg(long, value_name = "ADDR", env = "CONTROL_SERVER_XDS", default_value = "127.0.0.1:15010")]
    xds: SocketAddr,
    #[command(flatten)]
    tls: Tls,
    /// Where the admin API is served, without authentication; port 0 takes a free one
    #[arg(long, value_name = "ADDR", env = "CONTROL_SERVER_ADMIN", default_value = "127.0.0.1:15080")]
    admin: SocketAddr,
    /// A name by which the admin API may be asked, besides addresses and localhost, against web pages whose name stands for this
    /// machine; may be given several times; * for every name
    #[arg(long, value_name = "NAME", env = "CONTROL_SERVER_ADMIN_HOST", value_delimiter = ',')]
    admin_host: Vec<String>,
    /// Most streams at a time, of ADS and of load reports each; twice as many connections; of one address nine tenths
    #[arg(long, value_name = "N", env = "CONTROL_SERVER_MAX_STREAMS", default_value = "10000", value_parser = at_least_one)]
    max_streams: usize,
    /// New streams per second; a second's worth comes at once, later ones wait for up to 5 s; 0 for no limit
    #[arg(long, value_name = "N", env = "CONTROL_SERVER_MAX_STREAM_RATE", default_value = "500")]
    max_stream_rate: u32,
    /// Age at which a connection's clients are sent to another server, a tenth more or less; 0s for ever
    #[arg(long, value_name = "TIME", env = "CONTROL_SERVER_MAX_CONNECTION_AGE", default_value = "30m", value_parser = duration::parse)]
    max_connection_age: Duration,
    /// How long such a connection may still wait for answers
    #[arg(long, value_name = "TIME", env = "CONTROL_SERVER_MAX_CONNECTION_AGE_GRACE", default_value = "30s", value_parser = duration::parse)]
    max_connection_age_grace: Duration,
    /// How often clients report their load, shown by `meshctl load`; 0s turns it off
    #[arg(long, value_name = "TIME", env = "CONTROL_SERVER_LOAD_REPORT_INTERVAL", default_value = "10s", value_parser = duration::parse)]
    load_report_interval: Duration,
    /// How calls to hosts end whose routes or rules are invalid and were never valid; with `fail`, a file that cannot be read
    /// and may hold any delays the start
    #[arg(long, value_name = "WHAT", env = "CONTROL_SERVER_ON_INVALID", default_value = "fail")]
    on_invalid: Invalid,
    /// Namespace whose rules hold for services and clients without rules of their own
    #[arg(long, value_name = "NAME", env = "CONTROL_SERVER_ROOT_NAMESPACE", default_value = "istio-system")]
    root_namespace: String,
    /// Trust domain of the identities in the mesh, as in spiffe://NAME/ns/shop/sa/web
    #[arg(long, value_name = "NAME", env = "CONTROL_SERVER_TRUST_DOMAIN", default_value = "cluster.local", value_parser = trust_domain)]
    trust_domain: String,
    /// Retries of calls whose route does not say how many, for the statuses unavailable and cancelled; 0 for none
    #[arg(long, value_name = "N", env = "CONTROL_SERVER_DEFAULT_RETRIES", default_value = "2")]
    default_retries: u32,
    /// Folder for what survives a restart: the last good text of every file; not inside the configuration folder
    #[arg(long, value_name = "DIR", env = "CONTROL_SERVER_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// What one change may remove of a service's endpoints, or of all services, before it waits for `meshctl approve`, in
    /// percent; fewer than ten are always removed; 100 for no limit
    #[arg(long, value_name = "PERCENT", env = "CONTROL_SERVER_MAX_REMOVAL", default_value = "50", value_parser = clap::value_parser!(u8).range(0..=100))]
    max_removal: u8,
    /// Longest time between the first signal and the end; clients leave within half of it
    #[arg(long, value_name = "TIME", env = "CONTROL_SERVER_DRAIN_TIMEOUT", default_value = "10s", value_parser = duration::parse)]
    drain_timeout: Duration,
    /// File that gets the bound addresses as JSON once the server listens; removed at the end
    #[arg(long, value_name = "FILE", env = "CONTROL_SERVER_READY_FILE")]
    ready_file: Option<PathBuf>,
    /// How the log is written to standard error
    #[arg(long, value_name = "FORMAT", env = "CONTROL_SERVER_LOG_FORMAT", default_value = "text")]
    pub(super) log_format: LogFormat,
    /// What is logged: error, warn, info, debug or trace, also per module as in `info,control_server::discovery=debug`
    #[arg(long, value_name = "FILTER", env = "CONTROL_SERVER_LOG", default_value = "info")]
    pub(super) log: String,
}

/// xDS with TLS, on a port of its own.
#[derive(Debug, Args)]
struct Tls {
    /// Where xDS is served with TLS [default: 127.0.0.1:15012 with --tls-cert, nowhere without]
    #[arg(long = "xds-tls", value_name = "ADDR", env = "CONTROL_SERVER_XDS_TLS", requires = "certificate")]
    address: Option<SocketAddr>,
    /// The server's certificate chain, PEM; followed when it changes, like the other TLS files
    #[arg(long = "tls-cert", value_name = "FILE", env = "CONTROL_SERVER_TLS_CERT", requires = "key")]
    certificate: Option<PathBuf>,
    /// Its private key, PEM, not encrypted
    #[arg(long = "tls-key", value_name = "FILE", env = "CONTROL_SERVER_TLS_KEY", requires = "certificate")]
    key: Option<PathBuf>,
    /// The authorities that issue clients' certificates, PEM; clients show no certificate without it
    #[arg(
        long = "tls-client-ca",
        value_name = "FILE",
        env = "CONTROL_SERVER_TLS_CLIENT_CA",
        requires = "certificate"
    )]
    client_ca: Option<PathBuf>,
    /// Whether a client without a certificate may connect [default: required]
    #[arg(
        long = "tls-client-auth",
        value_name = "WHEN",
        env = "CONTROL_SERVER_TLS_CLIENT_AUTH",
        requires = "client_ca"
    )]
    client_auth: Option<ClientCertificate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ClientCertificate {
    /// It may not
    Required,
    /// It may; a client with a bad certificate may not
    Optional,
}

/// Calls to hosts whose routes or rules are invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Invalid {
    /// They fail: they may be meant to be pinned or restricted
    Fail,
    /// They go where they would go without the invalid object
    DefaultRoute,
}

impl Tls {
    fn into_options(self) -> Option<TlsOptions> {
        let client_auth = match (self.client_ca, self.client_auth) {
            (None, _) => ClientAuth::None,
            (Some(authorities), Some(ClientCertificate::Optional)) => ClientAuth::Optional(authorities),
            (Some(authorities), Some(ClientCertificate::Required) | None) => {
                ClientAuth::Required(authorities)
            }
        };
        let address = self.address.unwrap_or(TlsOptions::DEFAULT_ADDRESS);
        Some(TlsOptions { address, certificate: self.certificate?, key: self.key?, client_auth })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people
    Text,
    /// One object per line
    Json,
}

impl Serve {
    pub(super) fn into_options(self) -> (Options, pipeline::Options) {
        let folders = self.folders();
        let options = Options {
            xds: self.xds,
            tls: self.tls.into_options(),
            admin: self.admin,
            admin_hosts: self.admin_host,
            stream_limits: StreamLimits { max_streams: self.max_streams, per_second: self.max_stream_rate },
            max_connection_age: self.max_connection_age,
            max_connection_age_grace: self.max_connection_age_grace,
            load_report_interval: self.load_report_interval,
            drain_timeout: self.drain_timeout,
            ready_file: self.ready_file,
        };
        let on_invalid = match self.on_invalid {
            Invalid::Fail => OnInvalid::Fail,
            Invalid::DefaultRoute => OnInvalid::DefaultRoute,
        };
        let settings = Settings {
            root_namespace: self.root_namespace,
            trust_domain: self.trust_domain,
            on_invalid,
            default_retries: self.default_retries,
        };
        let load_reporting =
            if self.load_report_interval.is_zero() { LoadReporting::Off } else { LoadReporting::On };
        let pipeline = pipeline::Options {
            data_dir: self.data_dir,
            links: if self.follow_links { Links::Anywhere } else { Links::Inside },
            max_removal: MaxRemoval(self.max_removal),
            load_reporting,
            settings,
            ..pipeline::Options::of_folders(folders)
        };
        (options, pipeline)
    }
}

impl Serve {
    pub(super) fn folders(&self) -> Vec<PathBuf> {
        self.config_dir.iter().flat_map(|value| folders(value, Path::is_dir)).collect()
    }
}

/// A folder whose name may have colons in it, or several with `:` between them.
fn folders(value: &Path, is_folder: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    if is_folder(value) {
        return vec![value.to_owned()];
    }
    match value.to_str() {
        Some(text) => text.split(':').map(PathBuf::from).collect(),
        None => vec![value.to_owned()],
    }
}

/// As SPIFFE has it, in lower case.
fn trust_domain(text: &str) -> Result<String, String> {
    let is_legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
    let name = text.to_ascii_lowercase();
    if !name.is_empty() && name.len() <= 255 && name.bytes().all(is_legal) {
        Ok(name)
    } else {
        Err("expected letters, digits, `-`, `.` and `_`".to_owned())
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| "expected a whole number, 1 or more".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn flags_are_consistent_and_match_the_defaults() {
        Arguments::command().debug_assert();
        let Command::Serve(serve) = Arguments::parse_from(["control-server", "serve"]).command;
        assert_eq!(serve.folders(), [PathBuf::from("config")]);
        assert_eq!(serve.into_options().0, Options::default());
    }

    #[test]
    fn folders_are_given_one_by_one_or_in_one_list() {
        for flags in [&["--config-dir", "a", "--config-dir", "b/c"][..], &["--config-dir", "a:b/c"]] {
            let arguments = ["control-server", "serve"].iter().chain(flags);
            let Command::Serve(serve) = Arguments::parse_from(arguments).command;
            assert_eq!(serve.into_options().1.folders, ["a", "b/c"].map(PathBuf::from));
        }
    }

    #[test]
    fn folder_with_a_colon_in_its_name_is_one_folder() {
        let split = |value: &str, exists: &str| folders(Path::new(value), |path| path == Path::new(exists));
        assert_eq!(split("/srv/a:b", "/srv/a:b"), [PathBuf::from("/srv/a:b")]);
        assert_eq!(split("/srv/a:b", "/srv/a"), ["/srv/a", "b"].map(PathBuf::from));
        let root = tempfile::TempDir::new().unwrap();
        let folder = root.path().join("blue:green");
        std::fs::create_dir(&folder).unwrap();
        let flag = folder.to_str().unwrap();
        let Command::Serve(serve) =
            Arguments::parse_from(["control-server", "serve", "--config-dir", flag]).command;
        assert_eq!(serve.into_options().1.folders, [folder]);
    }

    /// The TLS settings of these flags; `None` for flags that contradict each other.
    #[test]
    fn tls_flags_belong_together() {
        let address = |text: &str| text.parse().unwrap();
        let tls = |at: &str, client_auth| {
            let (certificate, key) = (PathBuf::from("c"), PathBuf::from("k"));
            Some(Some(TlsOptions { address: address(at), certificate, key, client_auth }))
        };
        let authorities = || PathBuf::from("a");
        let pair = "--tls-cert c --tls-key k";
        for (flags, expected) in [
            ("".to_owned(), Some(None)),
            (pair.to_owned(), tls("127.0.0.1:15012", ClientAuth::None)),
            (format!("{pair} --xds-tls [::]:1"), tls("[::]:1", ClientAuth::None)),
            (
                format!("{pair} --tls-client-ca a"),
                tls("127.0.0.1:15012", ClientAuth::Required(authorities())),
            ),
            (
                format!("{pair} --tls-client-ca a --tls-client-auth optional"),
                tls("127.0.0.1:15012", ClientAuth::Optional(authorities())),
            ),
            ("--tls-cert c".to_owned(), None),
            ("--tls-key k".to_owned(), None),
            ("--xds-tls 127.0.0.1:1".to_owned(), None),
            ("--tls-client-ca a".to_owned(), None),
            (format!("{pair} --tls-client-auth required"), None),
        ] {
            let arguments = ["control-server", "serve"].into_iter().chain(flags.split_whitespace());
            let parsed = Arguments::try_parse_from(arguments).ok().map(|arguments| {
                let Command::Serve(serve) = arguments.command;
                serve.into_options().0.tls
            });
            assert_eq!(parsed, expected, "{flags}");
        }
    }
}
