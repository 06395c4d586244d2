//! From the bootstrap to the protocol's settings: the servers, and the authorities of each.

use mesh_core::config::Name;

use super::Options;
use crate::bootstrap::{Authority, Bootstrap, ServerConfig};
use crate::protocol::{
    AuthoritySettings, DataErrors, Fallback, OnTimeout, ServerId, ServerSettings, Settings, Variant,
};

/// The bootstrap's servers, each once, and the settings, which name a server by its index.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) servers: Vec<ServerConfig>,
    pub(super) settings: Settings,
}

impl Plan {
    pub(super) fn new(bootstrap: &Bootstrap, options: &Options) -> Self {
        let mut servers = Vec::new();
        let usual = options.next_server_after.map_or(Fallback::WhenMissing, Fallback::AfterOutage);
        let default_authority =
            AuthoritySettings { fallback: usual, ..list(&mut servers, bootstrap.servers()) };
        let authority = |(name, known): (&String, &Authority)| {
            let settings = list(&mut servers, known.servers());
            // BS-45
            let fallback = match known.fallback_on_reachability_only() {
                true => Fallback::OnUnreachability,
                false => usual,
            };
            (Name::from(name.as_str()), AuthoritySettings { fallback, ..settings })
        };
        let authorities = bootstrap.authorities().iter().map(authority).collect();
        let of_servers = servers.iter().map(|server| of_server(server, options)).collect();
        Self { settings: Settings { servers: of_servers, default_authority, authorities }, servers }
    }
}

/// BS-23: equal servers are one.
fn list(servers: &mut Vec<ServerConfig>, of_authority: &[ServerConfig]) -> AuthoritySettings {
    let ids = of_authority.iter().map(|server| {
        let known = servers.iter().position(|known| known == server);
        ServerId(known.unwrap_or_else(|| {
            servers.push(server.clone());
            servers.len() - 1
        }))
    });
    AuthoritySettings::new(ids.collect::<Vec<_>>())
}

fn of_server(server: &ServerConfig, options: &Options) -> ServerSettings {
    let features = server.features();
    let (resource_timeout, on_timeout) = match features.resource_timer_is_transient_error {
        true => (options.transient_resource_timeout, OnTimeout::Transient),
        false => (options.resource_timeout, OnTimeout::DoesNotExist),
    };
    let ping = options.keepalive_interval.saturating_add(options.keepalive_timeout);
    ServerSettings {
        name: server.uri().into(),
        variant: if features.incremental_xds { Variant::Delta } else { Variant::Sotw },
        resource_timeout,
        on_timeout,
        silence_timeout: options.silence_timeout,
        // A server that cannot be reached is silent too until a ping fails: it must not count as connected meanwhile.
        quiet_timeout: resource_timeout.max(ping.saturating_add(ping / 2)),
        backoff: options.backoff,
        data_errors: match (features.fail_on_data_errors, features.ignore_resource_deletion) {
            (true, _) => DataErrors::Fail,
            (false, true) => DataErrors::IgnoreDeletion,
            (false, false) => DataErrors::Ambient,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Scenarios 2 and 3: a server that loses everything is detected by a ping, and does not count as connected before.
    #[test]
    fn silent_server_counts_only_after_a_ping_was_answered() {
        let bootstrap = r#"{"xds_servers": [{"server_uri": "a:1", "channel_creds": [{"type": "insecure"}]}], "node": {"id": "n"}}"#;
        let bootstrap = Bootstrap::from_json(bootstrap).unwrap();
        let seconds = Duration::from_secs;
        for (interval, timeout, at_least) in [(20, 20, 41), (1, 1, 15), (u64::MAX, 1, 41)] {
            let options = Options {
                keepalive_interval: seconds(interval),
                keepalive_timeout: seconds(timeout),
                ..Options::default()
            };
            let plan = Plan::new(&bootstrap, &options);
            assert!(plan.settings.servers[0].quiet_timeout >= seconds(at_least), "{interval} {timeout}");
        }
    }
}
