//! A map by endpoint id.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::EndpointId;

/// A map by endpoint id. Its hash has no random key: the driver assigns ids, and simulations have to repeat.
pub(super) type IdMap<T> = HashMap<EndpointId, T, BuildHasherDefault<IdHasher>>;

/// Spreads consecutive numbers over all bits.
#[derive(Debug, Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
