//! Concurrency limits of clusters (gRFC A32): the counts that all channels of a mesh share. A call is counted until its last
//! byte.

mod load;
mod registry;

pub(crate) use load::ClusterLoad;
pub(crate) use registry::LoadRegistry;
