//! What an operator reads of a server that is connected, lost, and connected again.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh_core::runtime::{ConfigSource, Target};
use tokio::time::sleep;
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber, span};
use xds_client::transport::TransportError;
use xds_client::transport::memory::{self, MemoryServer, MemoryStream};
use xds_client::{Options, XdsClient, start_with};

use crate::control::{Control, LDS, bootstrap};
use crate::load_report::{SECOND, SERVER, World, every, soon};

/// What is logged on this thread, down to a level.
#[derive(Debug, Clone)]
struct Log(Level, Arc<Mutex<Vec<String>>>);

impl Log {
    fn of(level: Level) -> Self {
        Self(level, Arc::default())
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.1.lock().unwrap())
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.0
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        self.1.lock().unwrap().push(format!("{} {}", event.metadata().level(), text.0));
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

/// Logs of this thread go to `log`, until what is returned is dropped.
///
/// With only one subscriber, tracing asks the thread that first reaches an event whether its subscriber wants it: that may
/// be the thread of another test, whose subscriber does not. So there are two.
fn subscribe(log: &Log) -> (DefaultGuard, Dispatch) {
    let second = Dispatch::new(log.clone());
    (tracing::subscriber::set_default(log.clone()), second)
}

fn start() -> (XdsClient, MemoryServer) {
    let (transport, server) = memory::pair();
    let options = Options::default().with_rng_seed(7);
    (start_with(bootstrap("control:15010"), transport, options).unwrap(), server)
}

#[tokio::test(start_paused = true)]
async fn stream_that_fails_after_the_connection_stands_is_a_warning() {
    let warnings = Log::of(Level::WARN);
    let _subscribed = subscribe(&warnings);
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
    assert!(warning.contains("cannot reach the control server"), "it never was there: {warning}");
}

#[tokio::test(start_paused = true)]
async fn stream_that_ends_after_a_response_is_none() {
    let warnings = Log::of(Level::WARN);
    let _subscribed = subscribe(&warnings);
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

/// Answers on one stream until the control has nothing more to say.
async fn serve(server: &mut MemoryServer) -> MemoryStream {
    let mut control = Control::greeter(&["a"], 1);
    let mut stream = server.accept().await.unwrap();
    for _ in 0..4 {
        let request = stream.sotw_request().await.unwrap();
        if let Some(response) = control.answer(&request) {
            stream.respond(response);
        }
    }
    stream
}

#[tokio::test(start_paused = true)]
async fn connection_and_recovery_are_logged_once() {
    let log = Log::of(Level::INFO);
    let _subscribed = subscribe(&log);
    let (client, mut server) = start();
    let _watch = client.watch(&Target::new("greeter")).unwrap();
    let stream = serve(&mut server).await;
    until(|| client.status().connected).await;
    let [line] = &log.take()[..] else { panic!("not one line") };
    assert!(
        line.starts_with("INFO message=connected to the control server server=\"control:15010\""),
        "{line}"
    );

    server.refuse("connection refused");
    drop(stream);
    sleep(Duration::from_secs(30)).await;
    let lost = log.take();
    assert!(
        lost[0].starts_with("WARN message=lost the control server, what it has sent stays in use"),
        "{lost:?}"
    );
    assert!((1..=4).contains(&lost.len()), "one in ten seconds: {lost:?}");

    server.admit();
    let _stream = serve(&mut server).await;
    until(|| client.status().connected).await;
    let [line] = &log.take()[..] else { panic!("not one line") };
    assert!(line.starts_with("INFO message=connected to the control server again after "), "{line}");
    let seconds: u64 = line.split(' ').skip_while(|word| *word != "after").nth(1).unwrap().parse().unwrap();
    assert!((30..200).contains(&seconds), "{line}");
}

/// The server's other stream has the warning of an outage.
#[tokio::test(start_paused = true)]
async fn failed_load_reports_are_logged_once_until_the_server_answers() {
    let log = Log::of(Level::INFO);
    let _subscribed = subscribe(&log);
    let mut world = World::new(&[("a", SERVER)]).await;
    for outage in 0..2 {
        let mut stream = world.accept().await;
        stream.respond(every(SECOND, &[]));
        soon(stream.request()).await.unwrap();
        world.server.refuse("connection refused");
        stream.fail(TransportError::failed("gone"));
        sleep(SECOND * 60).await;
        world.server.admit();
        let lines = log.take();
        let failures: Vec<_> = lines.iter().filter(|line| line.contains("load reports failed")).collect();
        let [line] = failures[..] else { panic!("outage {outage}: not one line: {lines:#?}") };
        assert!(line.starts_with("INFO") && line.contains("gone"), "{line}");
    }
}

async fn until(is_true: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if is_true() {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came true");
}
