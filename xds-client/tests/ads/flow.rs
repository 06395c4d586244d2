//! One response after the other.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use mesh_core::config::Name;
use prost::Message;
use tokio::time::Instant;
use xds_client::resource::{AnyResource, DecodeContext, DecodeError, ResourceType};
use xds_client::transport::memory;
use xds_client::{Options, start_with};
use xds_proto::envoy::service::discovery::v3::{DiscoveryResponse, Resource};
use xds_proto::google::protobuf::Any;

use crate::control::bootstrap;

const GREETING: &str = "type.googleapis.com/example.Greeting";
const WRAPPER: &str = "type.googleapis.com/envoy.service.discovery.v3.Resource";

/// A text, after what is to be done while it is decoded.
struct GreetingType<F>(F);

impl<F: Fn(String) -> String + Send + Sync + 'static> ResourceType for GreetingType<F> {
    fn type_url(&self) -> &'static str {
        GREETING
    }

    fn is_full_state(&self) -> bool {
        false
    }

    fn decode(
        &self,
        _: &DecodeContext,
        name: Option<&Name>,
        bytes: &Bytes,
    ) -> Result<(Name, AnyResource), DecodeError> {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Ok((name.cloned().unwrap(), Arc::new((self.0)(text))))
    }
}

impl<F> fmt::Debug for GreetingType<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GreetingType")
    }
}

fn greeting(version: &str) -> DiscoveryResponse {
    let any = Any { type_url: GREETING.to_owned(), value: version.as_bytes().to_vec() };
    let wrapped = Resource { name: "hello".to_owned(), resource: Some(any), ..Resource::default() };
    DiscoveryResponse {
        version_info: version.to_owned(),
        nonce: version.to_owned(),
        type_url: GREETING.to_owned(),
        resources: vec![Any { type_url: WRAPPER.to_owned(), value: wrapped.encode_to_vec() }],
        ..DiscoveryResponse::default()
    }
}

/// Proves: TR-22.
#[tokio::test(start_paused = true)]
async fn response_is_decoded_after_the_previous_one_is_applied() {
    let (transport, mut server) = memory::pair();
    let client = start_with(bootstrap("control:15010"), transport, Options::default()).unwrap();
    let looking = client.clone();
    // What the client has made of those before it.
    let kind = GreetingType(move |text| {
        let status = looking.status();
        let seen = status.resources.first().map_or_else(String::new, |one| one.version.to_string());
        format!("{text} after {seen:?}")
    });
    let mut watch = client.watch_resource::<String>(kind, "hello");
    let mut stream = server.accept().await.unwrap();
    assert_eq!(stream.sotw_request().await.unwrap().resource_names, ["hello"]);
    ["one", "two", "three"].into_iter().for_each(|version| stream.respond(greeting(version)));
    let last = loop {
        match watch.borrow_and_update().value {
            Some(Ok(text)) if text.starts_with("three") => break text,
            _ => assert!(watch.changed().await),
        }
    };
    assert_eq!(*last, "three after \"two\"");
}

/// Proves: SEC-06.
#[tokio::test(start_paused = true)]
async fn decoding_does_not_block_the_runtime() {
    let (transport, mut server) = memory::pair();
    let client = start_with(bootstrap("control:15010"), transport, Options::default()).unwrap();
    let (open, gate) = std::sync::mpsc::channel();
    let gate = Mutex::new(gate);
    let kind = GreetingType(move |text| {
        let opened = gate.lock().unwrap().recv_timeout(Duration::from_secs(60));
        opened.expect("the runtime's only worker opens the gate");
        text
    });
    let mut watch = client.watch_resource::<String>(kind, "hello");
    let mut stream = server.accept().await.unwrap();
    stream.sotw_request().await.unwrap();
    let asked = Instant::now();
    stream.respond(greeting("one"));
    for _ in 0..100 {
        tokio::task::yield_now().await;
        assert!(watch.borrow_and_update().value.is_none());
    }
    open.send(()).unwrap();
    assert!(watch.changed().await);
    assert!(matches!(watch.borrow_and_update().value, Some(Ok(text)) if *text == "one"));
    assert_eq!(asked.elapsed(), Duration::ZERO, "no deadline passes while a resource is being decoded");
}
