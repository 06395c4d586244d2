//! Requests to the admin API.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;

use crate::admin::ErrorBody;
use crate::causes::with_causes;
use crate::cli::Failure;
use crate::cli::text::{MAX_REMARK, clipped};

/// A client of one control server's admin API.
#[derive(Debug)]
pub(super) struct AdminClient {
    address: String,
    client: Client<HttpConnector, Empty<Bytes>>,
}

impl AdminClient {
    /// `address` is `host:port`, with or without `http://` before it.
    pub(super) fn new(address: &str) -> Result<Self, Failure> {
        let address = address.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let valid =
            address.parse::<http::uri::Authority>().is_ok_and(|authority| authority.port_u16().is_some());
        if !valid {
            return Err(Failure::new(format!(
                "{address:?} is no admin address; expected host:port, for example 127.0.0.1:15080"
            )));
        }
        Ok(Self { address, client: Client::builder(TokioExecutor::new()).build_http() })
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.ask(Method::GET, path).await
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.ask(Method::POST, path).await
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str) -> Result<T, Failure> {
        let (status, body) = match tokio::time::timeout(PATIENCE, self.fetch(method, path)).await {
            Ok(answer) => answer?,
            Err(_) => return Err(self.unreachable(&format!("no answer within {} s", PATIENCE.as_secs()))),
        };
        if status != StatusCode::OK {
            let reason =
                serde_json::from_slice::<ErrorBody>(&body).map(|body| body.message).unwrap_or_default();
            let reason = clipped(&reason, MAX_REMARK);
            return Err(Failure::new(format!("{} answers {path} with {status}: {reason}", self.address)));
        }
        serde_json::from_slice(&body).map_err(|error| {
            Failure::new(format!(
                "{} does not answer {path} as a control server of this version does: {error}; is the address right?",
                self.address
            ))
        })
    }

    async fn fetch(&self, method: Method, path: &str) -> Result<(StatusCode, Bytes), Failure> {
        let uri = format!("http://{}{path}", self.address).parse::<Uri>()?;
        let unreachable = |error: &dyn std::error::Error| self.unreachable(&with_causes(error));
        let request = Request::builder().method(method).uri(uri).header(CONTENT_TYPE, "application/json");
        let response = self.client.request(request.body(Empty::new())?).await;
        let response = response.map_err(|error| unreachable(&error))?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| unreachable(&error))?;
        Ok((status, body.to_bytes()))
    }

    fn unreachable(&self, cause: &str) -> Failure {
        Failure::new(format!(
            "cannot reach the admin API at {}: {cause}\n  \
             is the control server running? its admin address is set with --admin or MESHCTL_ADMIN",
            self.address
        ))
    }
}

/// Percent-encodes a query: everything but letters, digits and unreserved characters.
pub(super) fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

const PATIENCE: Duration = Duration::from_secs(5);
