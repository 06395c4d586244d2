//! What the examples, the tests across crates and the benches share: the greeter service, the smaller one of README.md,
//! a filter and a load-balancing policy.

pub mod heaviest;
pub mod service;
pub mod team_filter;

/// The generated messages, clients and servers of `proto/greeter.proto` and `proto/echo.proto`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    clippy::use_self,
    reason = "generated code"
)]
pub mod greeter {
    tonic::include_proto!("mesh.examples.v1");
}

/// The generated messages, client and server of `proto/hello.proto`, the service of README.md.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    clippy::use_self,
    reason = "generated code"
)]
pub mod hello {
    tonic::include_proto!("hello.v1");
}

/// The pages whose Rust is to compile as it stands in a reader's crate, which has a build script like this one's.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../README.md")]
    struct Readme;

    #[doc = include_str!("../../docs/embedded.md")]
    struct Embedded;

    #[doc = include_str!("../../docs/filters.md")]
    struct Filters;

    #[doc = include_str!("../../docs/observability.md")]
    struct Observability;

    #[doc = include_str!("../../docs/testing.md")]
    struct Testing;
}
