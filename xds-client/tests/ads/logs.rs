//! What an operator reads of a server that is lost.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh_core::runtime::{ConfigSource, Target};
use tokio::time::sleep;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};
use xds_client::transport::TransportError;
use xds_client::transport::memory::{self, MemoryServer};
use xds_client::{Options, XdsClient, start_with};

use crate::control::{Control, LDS, bootstrap};

/// The warnings of this thread.
#[derive(Debug, Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        _ = write!(self.0, "{field}={value:?} ");
    }
}

fn start() -> (XdsClient, MemoryServer) {
    let (transport, server) = memory::pair();
    let options = Options { rng_seed: Some(7), ..Options::default() };
    (start_with(bootstrap("control:15010"), transport, options).unwrap(), server)
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_fails_after_the_connection_stands_is_a_warning() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let (client, mut server) = start();
    let _watch = client.watch(&Target::new("greeter")).unwrap();
    let stream = server.accept().await.unwrap();
    stream.fail(TransportError::failed("status Unauthenticated: who are you?"));
    let _stream = server.accept().await.unwrap();
    let [warning] = &warnings.take()[..] else { panic!("not one warning") };
    assert!(warning.contains("ADS stream failed") && warning.contains("control:15010"), "{warning}");
    assert!(warning.contains("status Unauthenticated: who are you?"), "{warning}");
    sleep(Duration::from_secs(80)).await;
    let [warning] = &warnings.take()[..] else { panic!("silence is not one warning") };
    assert!(warning.contains("ADS stream failed") && warning.contains("without any response"), "{warning}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_after_a_response_is_none() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let (client, mut server) = start();
    let mut control = Control::greeter(&["a"], 1);
    let _watch = client.watch(&Target::new("greeter")).unwrap();
    let mut stream = server.accept().await.unwrap();
    let request = stream.sotw_request().await.unwrap();
    assert_eq!(request.type_url, LDS);
    stream.respond(control.answer(&request).unwrap());
    stream.sotw_request().await.unwrap();
    drop(stream);
    let _stream = server.accept().await.unwrap();
    assert_eq!(warnings.take(), Vec::<String>::new());
}
