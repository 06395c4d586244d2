//! A mesh with everything switched on that calls pass without being held up.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use benches::reporting::{ReportingSource, with_settings};
use examples::greeter::Payload;
use examples::greeter::echo_client::EchoClient;
use http::{HeaderName, HeaderValue};
use mesh_core::config::{
    AppendAction, ClusterSettings, ConfigError, ConsecutiveEjection, FailurePercentageEjection,
    FilterInstance, Forward, HeaderMutation, HeaderMutations, MaxRequests, MeshConfig, MutationOrder,
    OutlierDetection, RetryPolicy, RetryableCodes, Route, RouteAction, RouteMatch, SuccessRateEjection,
    VirtualHost,
};
use mesh_core::filter::{
    Abort, AbortSource, AbortStatus, Delay, DelaySource, FaultPolicy, HeaderMutationConfig, Percentage,
};
use mesh_core::runtime::Mesh;
use mesh_tonic::MeshChannel;
use xds_client::Options;
use xds_client::bootstrap::{Bootstrap, ServerConfig};
use xds_client::load_report::Reporter;
use xds_client::transport::memory::{self, MemoryServer};

/// Counts the calls that load reports tell of.
#[derive(Debug, Clone, Default)]
pub(crate) struct LoadReports(Arc<AtomicU64>);

impl LoadReports {
    /// Waits until so many calls have been reported.
    pub(crate) async fn reach(&self, calls: u64) -> Result<()> {
        let reached = async {
            while self.0.load(Ordering::Relaxed) < calls {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        _ = tokio::time::timeout(10 * REPORT_INTERVAL, reached).await;
        let reported = self.0.load(Ordering::Relaxed);
        ensure!(reported == calls, "{reported} of {calls} calls were reported");
        Ok(())
    }

    /// Plays the server that takes the reports.
    async fn take(self, mut server: MemoryServer) {
        while let Some(mut stream) = server.accept_load_report().await {
            stream.ask_for_all(REPORT_INTERVAL);
            while let Some(report) = stream.request().await {
                let localities = report.cluster_stats.iter().flat_map(|stats| &stats.upstream_locality_stats);
                let calls = localities.map(|locality| locality.total_successful_requests).sum();
                self.0.fetch_add(calls, Ordering::Relaxed);
            }
        }
    }
}

/// A channel through a mesh with every policy, and what it reports. One call has gone through it.
pub(crate) async fn channel(addresses: &[SocketAddr]) -> Result<(MeshChannel, LoadReports)> {
    let source = ReportingSource::any(config(addresses)?);
    let bootstrap = Bootstrap::builder().server(ServerConfig::insecure(SERVER)).node_id("bench").build()?;
    let (transport, server) = memory::pair();
    let reporter = Reporter::new(&bootstrap, source.store(), Arc::new(transport), &Options::default());
    tokio::spawn(reporter.run());
    let reports = LoadReports::default();
    tokio::spawn(reports.clone().take(server));
    let channel = MeshChannel::builder("echo").mesh(&Mesh::new(source)).build()?;
    let reply = EchoClient::new(channel.clone()).unary(Payload::default()).await?;
    reply.metadata().get(RESPONSE_HEADER).context("the response's headers have not been changed")?;
    Ok((channel, reports))
}

/// A configuration with faults that no call asks for, headers that are changed both ways, retries, removal of outliers by
/// every algorithm, a circuit breaker and load reports.
fn config(addresses: &[SocketAddr]) -> Result<MeshConfig> {
    let plain = MeshConfig::to_endpoints("echo", addresses.iter().copied());
    let forward = Forward::to("echo").with_retry(retry_policy());
    let route = Arc::new(Route::new(RouteMatch::any(), RouteAction::Forward(forward)));
    let hosts = plain.virtual_hosts().iter().map(|host| {
        let mut host = VirtualHost::clone(host);
        host.routes = vec![route.clone()];
        Arc::new(host)
    });
    let config = MeshConfig::new(hosts.collect(), plain.clusters().clone(), None)?;
    let settings = |settings: &mut ClusterSettings| {
        settings.outlier_detection = Some(outlier_detection());
        settings.limits.max_requests = MaxRequests(10_000);
        settings.load_reporting = Some(SERVER.into());
    };
    Ok(with_settings(&config, settings).with_filters([
        FilterInstance::new("fault", faults()),
        FilterInstance::new("header-mutation", header_mutation()?),
    ]))
}

fn retry_policy() -> RetryPolicy {
    let codes = RetryableCodes::UNAVAILABLE.with(RetryableCodes::RESOURCE_EXHAUSTED);
    RetryPolicy::new(codes, const { NonZeroU32::new(3).unwrap() })
}

/// With few enough endpoints and calls that every interval is judged.
fn outlier_detection() -> OutlierDetection {
    let success_rate = SuccessRateEjection { minimum_hosts: 1, ..SuccessRateEjection::default() };
    let failure_percentage =
        FailurePercentageEjection { minimum_hosts: 1, ..FailurePercentageEjection::default() };
    let mut detection = OutlierDetection::default();
    detection.interval = Duration::from_secs(1);
    detection.success_rate = Some(success_rate);
    detection.failure_percentage = Some(failure_percentage);
    detection.consecutive_5xx = Some(ConsecutiveEjection::default());
    detection.consecutive_gateway_failures = Some(ConsecutiveEjection::default());
    detection
}

/// Delays calls that ask for it, and would abort none in a hundred of the others.
fn faults() -> FaultPolicy {
    let abort = AbortSource::Status(AbortStatus::Grpc(14));
    FaultPolicy::new()
        .with_delay(Delay { source: DelaySource::Headers, percentage: Percentage::ALL })
        .with_abort(Abort { source: abort, percentage: Percentage::of_hundred(0) })
}

fn header_mutation() -> Result<HeaderMutationConfig, ConfigError> {
    let set = |name| {
        let value = HeaderValue::from_static("bench");
        HeaderMutation::set(HeaderName::from_static(name), value, AppendAction::OverwriteIfExistsOrAdd)
    };
    let mutations = HeaderMutations::new()
        .request(set("x-bench-request")?)
        .request(HeaderMutation::remove(http::header::USER_AGENT)?)
        .response(set(RESPONSE_HEADER)?)
        .response(HeaderMutation::remove(http::header::DATE)?);
    Ok(HeaderMutationConfig::new(mutations, MutationOrder::default()))
}

/// The server that load is reported to.
const SERVER: &str = "load-reports";

/// How often load is reported.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

const RESPONSE_HEADER: &str = "x-bench-response";
