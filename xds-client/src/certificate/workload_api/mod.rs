//! Material from an agent of the SPIFFE Workload API.
//!
//! The agent tells all of it at once, and again when something changes. Material stays in use while the agent is gone or tells nonsense;
//! a trust domain that a message does not have any more is withdrawn.

mod message;
#[cfg(test)]
mod tests;

use std::pin::Pin;

use mesh_core::certificate::{CertificateProvider, Material, MaterialPublisher};
use mesh_core::policy::backoff::{Backoff, BackoffSettings};
use tokio::time::sleep;

use crate::bootstrap::WorkloadApi;
use crate::transport::WorkloadStream;

pub(crate) use message::{X509SvidRequest, X509SvidResponse};

/// Follows an agent.
#[derive(Debug)]
pub(super) struct WorkloadMaterial(WorkloadApi);

impl WorkloadMaterial {
    pub(super) fn new(agent: WorkloadApi) -> Self {
        Self(agent)
    }
}

impl CertificateProvider for WorkloadMaterial {
    fn run(&self, publisher: MaterialPublisher) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let agent = self.0.clone();
        Box::pin(async move {
            let (mut backoff, mut has_material) = (Backoff::default(), false);
            loop {
                let seen = follow(&agent, &publisher, &mut has_material).await;
                if seen.was_useful {
                    backoff = Backoff::default();
                }
                let reason = format!("the agent at {}: {}", agent.target(), seen.end);
                if has_material {
                    tracing::warn!(
                        reason,
                        "the workload's identity is not renewed; the last one stays in use"
                    );
                } else {
                    publisher.publish(Material::missing(reason));
                }
                let wait = backoff.next(&BackoffSettings::default(), &mut rand::rng());
                sleep(wait).await;
            }
        })
    }
}

/// What a stream was good for.
struct StreamEnd {
    was_useful: bool,
    end: String,
}

/// Publishes what the agent tells until its stream ends.
async fn follow(agent: &WorkloadApi, publisher: &MaterialPublisher, has_material: &mut bool) -> StreamEnd {
    let mut was_useful = false;
    let mut stream = match WorkloadStream::open(agent).await {
        Ok(stream) => stream,
        Err(end) => return StreamEnd { was_useful, end },
    };
    loop {
        let response = match stream.next().await {
            Ok(Some(response)) => response,
            Ok(None) => return StreamEnd { was_useful, end: "it has ended the stream".to_owned() },
            Err(end) => return StreamEnd { was_useful, end },
        };
        match message::material(&response) {
            Ok(material) => {
                publisher.publish(material);
                (was_useful, *has_material) = (true, true);
            }
            Err(error) if *has_material => {
                tracing::warn!(%error, "the agent tells nonsense; the last identity and roots stay in use");
            }
            Err(error) => publisher.publish(Material::missing(format!("what the agent tells: {error}"))),
        }
    }
}
