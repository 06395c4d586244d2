//! What a server writes to the log.

use std::fmt;
use std::sync::{Arc, Mutex};

use mesh_core::config::{ResourceError, ServerRoutes};
use mesh_tonic::{FixedServer, ServerSettings};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use crate::drains::named;
use crate::{Running, call, eventually};

/// The lines about the routes of servers.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Text<'a>(&'a Lines, tracing::Level);

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" && text.starts_with("server: ") {
            self.0.0.lock().unwrap().push(format!("{} {text}", self.1));
        }
    }
}

impl<S: tracing::Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        event.record(&mut Text(self, *event.metadata().level()));
    }
}

/// Proves: SV-20.
#[tokio::test]
async fn server_warns_once_of_each_bad_update_and_says_when_it_is_over() {
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.clone()));
    let seen = || lines.0.lock().unwrap().clone();
    let config = FixedServer::new(named("one", Err("does not exist")));
    let server = Running::start("a", &config, ServerSettings::default()).await;
    let mut client = server.client();
    for _ in 0..3 {
        call(&mut client).await.unwrap_err();
    }
    let broken = ResourceError::new("does not exist").to_string();
    assert_eq!(seen(), [format!("WARN server: {broken}")]);
    // the same problem again, and then another one
    config.set(named("one", Err("does not exist")));
    config.set(named("one", Err("is refused")));
    eventually("the second problem is told", async || seen().len() > 1).await;
    config.set(named("one", Ok(ServerRoutes::all())));
    eventually("calls are served", async || call(&mut client).await.is_ok()).await;
    let refused = ResourceError::new("is refused").to_string();
    let all = [
        format!("WARN server: {broken}"),
        format!("WARN server: {refused}"),
        "INFO server: the routes are correct again".to_owned(),
    ];
    assert_eq!(seen(), all);
}
