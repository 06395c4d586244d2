//! Clients and servers that are not ours, at the other end of the wire: docs/interop.md.

/// Tests of one behaviour each, once for every value of its argument: a module of tests per value.
macro_rules! for_each {
    (@module $module:ident, $value:expr, [$($behaviour:ident),+ $(,)?]) => {
        mod $module {
            $(#[tokio::test]
            async fn $behaviour() {
                super::$behaviour($value).await;
            })+
        }
    };
    ($($module:ident: $value:expr),+ => $behaviours:tt) => {
        $(for_each! { @module $module, $value, $behaviours })+
    };
}

mod client;
mod envoy;
mod envoy_filters;
mod faults;
mod grpc;
mod hashing;
mod least_request;
mod mutual_tls;
mod outliers;
mod scopes;
mod secured;
mod servers;
mod stage;
mod tasks;
