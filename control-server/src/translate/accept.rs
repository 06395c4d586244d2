//! Whether clients accept a resource.

use bytes::Bytes;

use crate::resources::ResourceKind;

/// Why our own client would refuse a resource.
pub(super) fn refusal(_kind: ResourceKind, _bytes: &Bytes) -> Option<String> {
    None
}
