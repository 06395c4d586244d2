//! What a service's log says at info of a start, an outage, and its end.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tests::mesh::MeshClient;
use tests::yaml::{self, Endpoint};
use tests::{ConfigDir, ControlServer, Greeter, eventually};
use tracing::Dispatch;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

/// Keeps what is written.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn lines(&self) -> Vec<String> {
        let written = self.0.lock().unwrap();
        String::from_utf8_lossy(&written).lines().map(str::to_owned).collect()
    }

    /// The only line that has all of these words in this order.
    pub(crate) async fn tells(&self, words: &[&str]) -> String {
        eventually(&format!("the log tells {words:?}"), async || {
            let lines = self.lines();
            let mut found = lines.iter().filter(|line| has_all(line, words));
            match (found.next(), found.next()) {
                (Some(line), None) => Ok(line.clone()),
                _ => Err(lines.join("\n")),
            }
        })
        .await
    }
}

fn has_all(line: &str, words: &[&str]) -> bool {
    let after = |rest: Option<usize>, word: &&str| Some(rest? + line[rest?..].find(*word)? + word.len());
    words.iter().fold(Some(0), after).is_some()
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Logs of this thread go to `log`, until what is returned is dropped.
///
/// With only one subscriber, tracing asks the thread that first reaches an event whether its subscriber wants it: that may be
/// the thread of another test, whose subscriber does not. So there are two.
pub(crate) fn subscribe(log: &Log) -> (DefaultGuard, Dispatch) {
    let subscriber = || tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).finish();
    let second = Dispatch::new(subscriber());
    (tracing::subscriber::set_default(subscriber()), second)
}

#[tokio::test]
async fn log_has_start_outage_and_recovery() {
    let log = Log::default();
    let _subscribed = subscribe(&log);
    let greeter = Greeter::start("e0", "v1").await;
    let config = ConfigDir::new();
    config.write("service.yaml", &yaml::service(&[Endpoint::new(greeter.address, "v1")]));
    let mut control = ControlServer::start(config).await;
    let server = control.addresses.xds.to_string();
    let client = MeshClient::of(&control);
    client.assert_answers("e0").await;
    log.tells(&["INFO", "connected to the control server", &server]).await;
    log.tells(&["INFO", "configuration in use", yaml::HOST, "clusters=1", "endpoints=1"]).await;

    let killed = Instant::now();
    control.kill().await;
    log.tells(&["WARN", "lost the control server, what it has sent stays in use", &server]).await;
    client.assert_answers("e0").await;
    control.restart().await;
    log.tells(&["INFO", "connected to the control server again after", " s", &server]).await;
    let (lines, outage) = (log.lines(), killed.elapsed());
    let at_most = 5 + outage.as_secs() / 10;
    assert!(lines.len() as u64 <= at_most, "one warning in ten seconds of {outage:?}: {lines:#?}");
}
