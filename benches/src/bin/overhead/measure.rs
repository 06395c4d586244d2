//! One batch of calls through one client.

use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use examples::greeter::Payload;
use examples::greeter::echo_client::EchoClient;
use http_body::Body;
use tokio::task::JoinSet;
use tonic::client::GrpcService;

/// How much to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batch {
    pub(crate) calls: u32,
    pub(crate) in_flight: u32,
    pub(crate) payload: usize,
}

/// What a batch cost, per call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) cpu: Duration,
    pub(crate) allocations: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) calls_per_second: f64,
}

/// Runs a batch: as many tasks as calls in flight, each with calls one after the other.
pub(crate) async fn run<S>(client: &EchoClient<S>, batch: Batch) -> Result<Sample>
where
    S: GrpcService<tonic::body::Body> + Clone + Send + 'static,
    S::Future: Send,
    S::ResponseBody: Body<Data = Bytes> + Send + 'static,
    <S::ResponseBody as Body>::Error: Into<tonic::codegen::StdError> + Send,
    EchoClient<S>: Send,
{
    let each = batch.calls / batch.in_flight;
    let mut tasks = JoinSet::new();
    let (cpu, allocations, start) = (benches::cpu_time(), benches::allocations(), Instant::now());
    for _ in 0..batch.in_flight {
        let mut client = client.clone();
        tasks.spawn(async move {
            let mut latencies = Vec::with_capacity(each as usize);
            for _ in 0..each {
                let start = Instant::now();
                client.unary(Payload { body: vec![7; batch.payload] }).await?;
                latencies.push(start.elapsed());
            }
            Ok::<_, tonic::Status>(latencies)
        });
    }
    let mut latencies = Vec::with_capacity(batch.calls as usize);
    while let Some(task) = tasks.join_next().await {
        latencies.extend(task??);
    }
    let time = start.elapsed();
    let calls = u32::try_from(latencies.len())?;
    let cpu = (benches::cpu_time() - cpu) / calls;
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let allocations = (benches::allocations() - allocations) as f64 / f64::from(calls);
    latencies.sort_unstable();
    let quantile = |percent: usize| latencies[(latencies.len() - 1) * percent / 100];
    Ok(Sample {
        cpu,
        allocations,
        p50: quantile(50),
        p99: quantile(99),
        calls_per_second: f64::from(calls) / time.as_secs_f64(),
    })
}
