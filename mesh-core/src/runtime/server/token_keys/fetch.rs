//! One fetch of a key set: HTTP/1.1, over TLS where the URL says so.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::certificate::{Anchors, crypto};
use crate::policy::jwt::{InvalidKeySet, KeySet, is_fetchable};
use crate::runtime::connect::Io;
use crate::runtime::tls;

use super::TokenKeySettings;

/// Why a key set was not fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("no answer in time")]
    Timeout,
    #[error("the URL is not http:// or https:// with a host")]
    Url,
    #[error("the address {0} is local, and the server's settings do not allow it")]
    Address(IpAddr),
    #[error("the name has no address")]
    NoAddress,
    #[error("the connection failed")]
    Io(#[from] io::Error),
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    #[error("the answer is no HTTP")]
    Http(#[from] hyper::Error),
    #[error("the answer has the status {0}")]
    Status(StatusCode),
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    #[error("the answer is no key set")]
    KeySet(#[from] InvalidKeySet),
}

/// Fetches a key set. Other statuses than 200, redirects among them, are no answer.
pub(super) async fn fetch(url: &Uri, settings: &TokenKeySettings) -> Result<KeySet, FetchError> {
    let host = url.host().ok_or(FetchError::Url)?;
    let is_tls = match url.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(FetchError::Url),
    };
    let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = dial(host, port, settings).await?;
    let body = match is_tls {
        false => get(stream, url, settings.max_size).await?,
        true => {
            let name = ServerName::try_from(host.to_owned()).map_err(|_| FetchError::Url)?;
            let config = client_config(settings).await?;
            let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
            get(stream, url, settings.max_size).await?
        }
    };
    Ok(KeySet::parse(&body)?)
}

/// A connection to an address that may be asked. The check is about the very address that is dialled.
async fn dial(host: &str, port: u16, settings: &TokenKeySettings) -> Result<TcpStream, FetchError> {
    let mut last = FetchError::NoAddress;
    for address in lookup_host((host, port)).await? {
        last = match dial_one(address, settings).await {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
    }
    Err(last)
}

async fn dial_one(address: SocketAddr, settings: &TokenKeySettings) -> Result<TcpStream, FetchError> {
    let ip = address.ip().to_canonical();
    let is_allowed = settings.allowed_addresses.iter().any(|range| range.contains(ip));
    if !is_allowed && !is_fetchable(ip) {
        return Err(FetchError::Address(ip));
    }
    Ok(TcpStream::connect(address).await?)
}

async fn client_config(settings: &TokenKeySettings) -> Result<ClientConfig, FetchError> {
    let failed = |error: &dyn std::error::Error| FetchError::Tls(error.to_string());
    let roots = tls::trusted_roots(&settings.roots).await.map_err(|error| failed(&error))?;
    // roots by trust domain accept only workloads, and revocation lists would not be looked up here
    let (Anchors::All(anchors), None) = (roots.anchors(), roots.revocation()) else {
        let text = "key servers need roots without trust domains and revocation lists";
        return Err(FetchError::Tls(text.to_owned()));
    };
    let store = RootCertStore { roots: anchors.to_vec() };
    let crypto = crypto().map_err(|error| failed(&error))?;
    let builder = ClientConfig::builder_with_provider(crypto).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| failed(&error))?;
    let mut config = builder.with_root_certificates(store).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

async fn get<I: Io>(stream: I, url: &Uri, max_size: usize) -> Result<Bytes, FetchError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let host = url.authority().map_or("", |authority| authority.as_str());
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header(HOST, host)
        .header(ACCEPT, "application/json, application/jwk-set+json")
        .header(USER_AGENT, "mesh")
        .body(String::new())
        .map_err(|_| FetchError::Url)?;
    let answer = async {
        let response = sender.send_request(request).await?;
        match response.status() {
            StatusCode::OK => read(response.into_body(), max_size).await,
            other => Err(FetchError::Status(other)),
        }
    };
    let (mut connection, mut answer) = (pin!(connection), pin!(answer));
    tokio::select! {
        biased;
        answer = answer.as_mut() => answer,
        ended = connection.as_mut() => {
            ended?;
            answer.await
        }
    }
}

async fn read(body: Incoming, max_size: usize) -> Result<Bytes, FetchError> {
    let (mut body, mut all) = (pin!(body), BytesMut::new());
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        if let Ok(part) = frame?.into_data() {
            if all.len() + part.len() > max_size {
                return Err(FetchError::TooLong(max_size));
            }
            all.extend_from_slice(&part);
        }
    }
    Ok(all.freeze())
}
