//! The HTTP face of the mesh, to be: a client and a server layer for hyper and axum.
//!
//! Nothing is here yet. The crate stands in the workspace so that its place among the others, and who may import it,
//! are settled: it will use `mesh-core` and `xds-client` as `mesh-tonic` does, and neither face knows the other.
