//! Who a peer is: the names in its certificate, and whether they are the expected ones (gRFC A29, A87, A101; SPIFFE-ID).

mod expected_name;
mod san;
mod spiffe;
mod subject_names;

pub(crate) use expected_name::ExpectedName;
pub(crate) use san::any_matches;
pub use spiffe::{SpiffeId, SpiffeIdError, TrustDomain};
pub(crate) use subject_names::SubjectNames;
