//! Concurrency limits of clusters (gRFC A32): the counts that all channels of a mesh share, and the guards that keep
//! them true until a call's last byte.

mod load;
mod registry;

pub(crate) use load::ClusterLoad;
pub(crate) use registry::LoadRegistry;
