//! An xDS server on stock gRPC that does what a test tells it: `interop/xds_server.py`.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::Process;
use crate::python::Python;

/// The process, and what it has reported.
#[derive(Debug)]
pub struct XdsServer {
    /// The process.
    pub process: Process,
    /// Where it listens, when it does.
    pub address: SocketAddr,
    /// Its reports that no test has taken yet.
    events: VecDeque<Event>,
}

/// What has happened there.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// It takes connections.
    Listening {
        /// Where.
        address: SocketAddr,
    },
    /// It takes none any more, and has ended all streams.
    Stopped,
    /// A stream has begun.
    Opened {
        /// Its number.
        stream: u64,
        /// `sotw` or `delta`.
        variant: String,
    },
    /// A stream has ended.
    Closed {
        /// Its number.
        stream: u64,
    },
    /// A client has sent a request.
    Request(Request),
    /// A client has begun to report loads, or has reported some.
    Load {
        /// Who, at the beginning.
        node: Option<Value>,
        /// `ClusterStats`, as JSON.
        #[serde(default)]
        clusters: Vec<Value>,
    },
    /// The answer to an order.
    Done {
        /// Why it was not followed.
        problem: Option<String>,
    },
}

/// A client's request on an ADS stream.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Request {
    /// The stream's number.
    pub stream: u64,
    /// `lds`, `rds`, `cds`, `eds`, or a type URL.
    #[serde(rename = "type")]
    pub kind: String,
    /// `subscription`, `ack`, `nack`, or `stale`.
    pub answer: String,
    /// All that are subscribed; incremental: those that are new.
    pub names: Vec<String>,
    /// State of the world: the version that was accepted last.
    #[serde(default)]
    pub version: String,
    /// Of the response that it answers.
    pub nonce: String,
    /// Why the response was refused.
    pub error: String,
    /// With which code, for example `INVALID_ARGUMENT`.
    pub code: String,
    /// Incremental: those that are no longer subscribed.
    #[serde(default)]
    pub unsubscribed: Vec<String>,
    /// Incremental: what the client has from an earlier stream, with versions.
    #[serde(default)]
    pub held: BTreeMap<String, String>,
    /// Who, in the first request of a stream.
    pub node: Option<Value>,
}

impl XdsServer {
    /// Starts one without resources, on a free port.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(python: &Python) -> Self {
        let mut process = Process::start("xDS server", python.program("xds_server.py"));
        match process.json().await {
            Event::Listening { address } => Self { process, address, events: VecDeque::new() },
            other => panic!("the xDS server began with {other:?}"),
        }
    }

    /// Adds or replaces resources, and sends them to all subscribers.
    ///
    /// # Panics
    /// When one is not well-formed JSON of its type.
    pub async fn set(&mut self, resources: &[Value]) {
        self.order(json!({"do": "set", "resources": resources})).await;
    }

    /// Removes resources of a type, and tells all subscribers.
    ///
    /// # Panics
    /// When one does not exist.
    pub async fn remove(&mut self, kind: &str, names: &[&str]) {
        self.order(json!({"do": "remove", "type": kind, "names": names})).await;
    }

    /// Sends exactly these on the newest stream; `xds_server.py` says what may stand in `response`.
    ///
    /// # Panics
    /// When there is no stream, or it is not well-formed.
    pub async fn send(&mut self, kind: &str, mut response: Value) {
        response["do"] = "send".into();
        response["type"] = kind.into();
        self.order(response).await;
    }

    /// Any other order.
    ///
    /// # Panics
    /// When it is not followed.
    pub async fn order(&mut self, order: Value) {
        self.process.send(&order.to_string()).await;
        loop {
            match self.process.json().await {
                Event::Done { problem: None } => return,
                Event::Done { problem } => panic!("the xDS server cannot follow {order}: {problem:?}"),
                other => self.events.push_back(other),
            }
        }
    }

    /// The next event of which `choose` makes something; those before are forgotten.
    ///
    /// # Panics
    /// When none comes within [`PATIENCE`](crate::PATIENCE).
    pub async fn event<T>(&mut self, mut choose: impl FnMut(Event) -> Option<T>) -> T {
        loop {
            let event = match self.events.pop_front() {
                Some(event) => event,
                None => self.process.json().await,
            };
            if let Some(chosen) = choose(event) {
                return chosen;
            }
        }
    }

    /// The next request about this type with this answer.
    ///
    /// # Panics
    /// When none comes within [`PATIENCE`](crate::PATIENCE).
    pub async fn request(&mut self, kind: &str, answer: &str) -> Request {
        self.event(|event| match event {
            Event::Request(request) if request.kind == kind && request.answer == answer => Some(request),
            _ => None,
        })
        .await
    }

    /// What has been reported, without waiting for more.
    ///
    /// # Panics
    /// When it no longer follows orders.
    pub async fn events(&mut self) -> Vec<Event> {
        // An order is answered after all that happened before.
        self.order(json!({"do": "silence", "types": []})).await;
        self.events.drain(..).collect()
    }
}
