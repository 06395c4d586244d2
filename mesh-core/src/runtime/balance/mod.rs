//! Load balancing at run time: subchannels that a whole mesh shares, and one small task per cluster. The task of an
//! aggregate has its leaves, each with its own endpoints, limits and counts; one balancer chooses among all of them.
//!
//! A cluster's task drives its [`Balancer`](crate::policy::lb::Balancer) and publishes picker and connections as
//! one [`Published`] value. The request path only reads it: one atomic load, no lock, no task in between.

mod clock;
mod cluster;
mod connections;
mod endpoints;
mod events;
mod health;
mod idle;
mod leaf;
mod leaf_set;
mod leaves;
mod listing;
mod live;
mod logical_dns;
mod mailbox;
mod outliers;
mod pool;
mod publication;
mod published;
mod rest;
mod sessions;
mod settings;
mod slot;
mod streams;
mod subchannel;
mod subchannel_task;
mod subscription;
mod task;
#[cfg(test)]
mod tests;
mod translation;
mod waiting_calls;

pub(crate) use cluster::ClusterHandle;
pub(crate) use leaves::Leaves;
pub(crate) use pool::Pool;
pub(crate) use published::Published;
pub(crate) use sessions::SessionEndpoint;
pub use settings::{FullEndpoints, MaxConnecting, MaxQueued, PoolSettings, QueueSettings};
pub(crate) use slot::Slot;
pub(crate) use slot::WaitForPlace;
