//! Servers tell clients their load (ORCA, gRFC A51): with each response, or in a stream apart from calls.

mod body;
mod layer;
mod report;
mod service;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use report::{Map, Number, Report};

pub use body::LoadReportBody;
pub use layer::{LoadReportFuture, LoadReportLayer, LoadReported};
pub use service::LoadReportService;

/// The load of a server, for all its calls and streams. Clones are of the same server.
///
/// Clients that balance by load (`client_side_weighted_round_robin`) send more calls to servers with less of it. What is not set is not
/// sent. A value out of its range changes nothing: utilization of memory and of what has a name is from 0 to 1, that of CPU and
/// application is not negative and may be above 1, rates are not negative.
///
/// ```
/// # use examples::greeter::greeter_server::GreeterServer;
/// # use examples::service::GreeterService;
/// use mesh_tonic::{LoadReportLayer, LoadReportService, LoadReporter};
/// use tonic::service::Routes;
/// # use tower::Layer;
///
/// let load = LoadReporter::new();
/// load.set_application_utilization(0.4);
/// let greeter = GreeterServer::new(GreeterService::new("a", "v1"));
/// let routes = Routes::new(greeter).add_service(LoadReportService::of(&load));
/// let service = LoadReportLayer::of(&load).layer(routes);
/// // server.serve(service).await;
/// # drop(service);
/// ```
#[derive(Debug, Clone, Default)]
pub struct LoadReporter(Shared);

/// The load that one call causes or sees: a handler finds it among the extensions of its request, if there is a
/// [`LoadReportLayer`]. For this call it counts before the server's.
///
/// ```
/// # use mesh_tonic::CallLoad;
/// fn handle(request: &tonic::Request<()>) {
///     if let Some(load) = request.extensions().get::<CallLoad>() {
///         load.set_request_cost("rows", 200.0);
///     }
/// }
/// ```
#[derive(Debug, Clone, Default)]
pub struct CallLoad(Shared);

#[derive(Debug, Clone, Default)]
struct Shared(Arc<Mutex<Report>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Report> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

macro_rules! numbers {
    ($($(#[$doc:meta])* $set:ident $number:ident)*) => {$(
        $(#[$doc])*
        pub fn $set(&self, value: f64) {
            self.0.lock().set(Number::$number, value);
        }
    )*};
}

macro_rules! maps {
    ($($(#[$doc:meta])* $set:ident $map:ident)*) => {$(
        $(#[$doc])*
        pub fn $set(&self, name: &str, value: f64) {
            self.0.lock().set_entry(Map::$map, name, value);
        }
    )*};
}

macro_rules! clears {
    ($($clear:ident $number:ident $of:literal)*) => {$(
        #[doc = concat!("Sends no ", $of, " any more.")]
        pub fn $clear(&self) {
            self.0.lock().clear(Number::$number);
        }
    )*};
}

impl LoadReporter {
    /// A server of which nothing is known yet.
    pub fn new() -> Self {
        Self::default()
    }

    numbers! {
        /// Share of the CPU in use; may be above 1.
        set_cpu_utilization Cpu
        /// Share of the memory in use.
        set_memory_utilization Memory
        /// Share of the application's scarcest resource in use; may be above 1. Clients prefer it to that of the CPU.
        set_application_utilization Application
        /// Calls per second.
        set_requests_per_second RequestsPerSecond
        /// Failed calls per second.
        set_errors_per_second ErrorsPerSecond
    }

    maps! {
        /// Share of a resource in use.
        set_utilization Utilization
        /// A metric of the application's own.
        set_named_metric NamedMetrics
    }

    clears! {
        clear_cpu_utilization Cpu "utilization of the CPU"
        clear_memory_utilization Memory "utilization of memory"
        clear_application_utilization Application "utilization of the application"
        clear_requests_per_second RequestsPerSecond "rate of calls"
        clear_errors_per_second ErrorsPerSecond "rate of failed calls"
    }

    /// Sends no utilization of this resource any more.
    pub fn clear_utilization(&self, name: &str) {
        self.0.lock().clear_entry(Map::Utilization, name);
    }

    /// Sends this metric no more.
    pub fn clear_named_metric(&self, name: &str) {
        self.0.lock().clear_entry(Map::NamedMetrics, name);
    }
}

impl CallLoad {
    numbers! {
        /// Share of the CPU in use; may be above 1.
        set_cpu_utilization Cpu
        /// Share of the memory in use.
        set_memory_utilization Memory
        /// Share of the application's scarcest resource in use; may be above 1.
        set_application_utilization Application
        /// Calls per second.
        set_requests_per_second RequestsPerSecond
        /// Failed calls per second.
        set_errors_per_second ErrorsPerSecond
    }

    maps! {
        /// What the call costs of a resource, in a unit of the application's own.
        set_request_cost RequestCost
        /// Share of a resource in use.
        set_utilization Utilization
        /// A metric of the application's own.
        set_named_metric NamedMetrics
    }
}
