//! A connection to a control server.

use std::path::Path;

use tokio::time::timeout;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::GrpcTransport;
use crate::bootstrap::{ChannelCredentials, ServerConfig, TlsCredentials};
use crate::transport::TransportError;

/// Connects. Files of credentials are read each time, so that a new connection sees new ones.
pub(super) async fn connect(
    settings: &GrpcTransport,
    server: &ServerConfig,
) -> Result<Channel, TransportError> {
    let (scheme, tls) = match server.credentials() {
        ChannelCredentials::Insecure => ("http", None),
        ChannelCredentials::GoogleDefault => ("https", Some(tls(TlsCredentials::default()).await?)),
        ChannelCredentials::Tls(credentials) => ("https", Some(tls(credentials.clone()).await?)),
    };
    let mut endpoint = Endpoint::from_shared(uri(scheme, server.uri()))
        .map_err(|error| unusable(format!("server_uri {:?}: {error}", server.uri())))?
        .connect_timeout(settings.connect_timeout)
        .tcp_nodelay(true)
        // TR-34: a server that is gone without a word is noticed.
        .http2_keep_alive_interval(settings.keepalive_interval)
        .keep_alive_timeout(settings.keepalive_timeout)
        .keep_alive_while_idle(true)
        .http2_adaptive_window(true);
    if let Some(tls) = tls {
        endpoint = endpoint.tls_config(tls).map_err(|error| unusable(chain(&error)))?;
    }
    match timeout(settings.connect_timeout, endpoint.connect()).await {
        Ok(Ok(channel)) => Ok(channel),
        Ok(Err(error)) => Err(TransportError::from_chain(&error)),
        Err(_) => {
            let seconds = settings.connect_timeout.as_secs_f64();
            Err(TransportError::failed(format!("no connection within {seconds} s")))
        }
    }
}

/// gRPC's target syntax, as far as it names an address: `host:port`, `dns:host:port`, `dns:///host:port`, `unix:path`.
fn uri(scheme: &str, target: &str) -> String {
    let named = target.starts_with("unix:") || target.contains("://") && !target.starts_with("dns:");
    if named {
        return target.to_owned();
    }
    let address = target.strip_prefix("dns:").unwrap_or(target);
    // `dns://resolver/host`: the resolver is the system's all the same.
    let address = match address.strip_prefix("//") {
        Some(rest) => rest.split_once('/').map_or(rest, |(_resolver, address)| address),
        None => address,
    };
    format!("{scheme}://{address}")
}

/// Fails closed: an identity that cannot be loaded is an error, never an anonymous connection.
async fn tls(credentials: TlsCredentials) -> Result<ClientTlsConfig, TransportError> {
    let load = move || {
        let config = ClientTlsConfig::new();
        let config = match &credentials.ca_certificate_file {
            Some(file) => config.ca_certificate(Certificate::from_pem(read(file)?)),
            None => config.with_native_roots(),
        };
        match &credentials.identity {
            Some(files) => {
                let identity = Identity::from_pem(read(&files.certificate)?, read(&files.private_key)?);
                Ok(config.identity(identity))
            }
            None => Ok(config),
        }
    };
    let loaded = tokio::task::spawn_blocking(load).await;
    loaded.map_err(|error| unusable(error.to_string()))?
}

fn read(file: &Path) -> Result<Vec<u8>, TransportError> {
    std::fs::read(file).map_err(|error| unusable(format!("cannot read {}: {error}", file.display())))
}

fn unusable(reason: String) -> TransportError {
    TransportError::Credentials { reason }
}

fn chain(error: &dyn std::error::Error) -> String {
    TransportError::from_chain(error).to_string()
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn targets_of_grpc_become_uris() {
        let rows = [
            ("127.0.0.1:15010", "http://127.0.0.1:15010"),
            ("[::1]:15010", "http://[::1]:15010"),
            ("control.example:15010", "http://control.example:15010"),
            ("dns:control.example:15010", "http://control.example:15010"),
            ("dns:///control.example:15010", "http://control.example:15010"),
            ("dns://8.8.8.8/control.example:15010", "http://control.example:15010"),
            ("https://control.example", "https://control.example"),
            ("unix:/run/xds.sock", "unix:/run/xds.sock"),
        ];
        for (target, expected) in rows {
            assert_eq!(uri("http", target), expected);
        }
    }
}
