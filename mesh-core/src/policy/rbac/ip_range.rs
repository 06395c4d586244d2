//! Ranges of IP addresses.

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::ConfigError;

/// All addresses of one family that begin with the same bits.
///
/// An IPv4 address in its IPv6 form is an IPv4 address, in a range as in a peer; otherwise families never mix.
// B6
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IpRange {
    /// Without the bits beyond the prefix.
    network: IpAddr,
    prefix: u8,
}

impl IpRange {
    /// The addresses that share their first `prefix` bits with `address`. `None` is one host; 0 is every address of the family.
    ///
    /// # Errors
    /// [`ConfigError::InvalidIpRange`] when the prefix is longer than the address, and when a range that is written as IPv4
    /// addresses in IPv6 form has others, too.
    pub fn new(address: IpAddr, prefix: Option<u8>) -> Result<Self, ConfigError> {
        let wrong =
            |reason| ConfigError::InvalidIpRange { address, prefix: prefix.unwrap_or_default(), reason };
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(bits);
        if prefix > bits {
            return Err(wrong("the prefix is longer than the address"));
        }
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let surplus = bits - 32;
                let prefix = prefix
                    .checked_sub(surplus)
                    .ok_or_else(|| wrong("an IPv4 address in IPv6 form needs a prefix of at least 96"))?;
                Ok(Self {
                    network: Ipv4Addr::from_bits(first_of_32(address.to_bits(), prefix)).into(),
                    prefix,
                })
            }
            IpAddr::V6(address) => {
                let network = Ipv6Addr::from_bits(first_of_128(address.to_bits(), prefix)).into();
                Ok(Self { network, prefix })
            }
        }
    }

    /// Whether an address, in its canonical form, is in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                first_of_32(address.to_bits(), self.prefix) == network.to_bits()
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                first_of_128(address.to_bits(), self.prefix) == network.to_bits()
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl Display for IpRange {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

fn first_of_32(bits: u32, prefix: u8) -> u32 {
    bits & u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or_default()
}

fn first_of_128(bits: u128, prefix: u8) -> u128 {
    bits & u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(address: &str, prefix: Option<u8>) -> Result<IpRange, ConfigError> {
        IpRange::new(address.parse().unwrap(), prefix)
    }

    /// B6: numbers of different families are never compared, and mapped ranges are IPv4 ranges.
    #[test]
    fn ranges_contain_addresses_of_their_family() {
        let rows = [
            ("0.0.0.1", Some(32), "0.0.0.1", true),
            ("0.0.0.1", Some(32), "::1", false),
            ("10.0.0.0", Some(8), "10.1.2.3", true),
            ("10.9.9.9", Some(8), "10.1.2.3", true),
            ("10.0.0.0", Some(8), "11.0.0.1", false),
            ("0.0.0.0", Some(0), "203.0.113.9", true),
            ("0.0.0.0", Some(0), "::1", false),
            ("::", Some(0), "::1", true),
            ("::", Some(0), "10.0.0.1", false),
            ("::ffff:192.0.2.1", Some(120), "192.0.2.200", true),
            ("::ffff:192.0.2.1", Some(120), "192.0.3.1", false),
            ("::ffff:192.0.2.1", None, "192.0.2.1", true),
            ("::ffff:192.0.2.1", None, "192.0.2.2", false),
            ("10.0.0.1", None, "10.0.0.1", true),
            ("10.0.0.1", None, "10.0.0.2", false),
            ("2001:db8::1", None, "2001:db8::1", true),
            ("2001:db8::1", None, "2001:db8::2", false),
            ("2001:db8::", Some(32), "2001:db8:1::2", true),
            ("::1", Some(128), "0.0.0.1", false),
        ];
        for (address, prefix, peer, expected) in rows {
            let peer: IpAddr = peer.parse().unwrap();
            let range = range(address, prefix).unwrap();
            assert_eq!(range.contains(peer.to_canonical()), expected, "{range} and {peer}");
        }
    }

    #[test]
    fn impossible_prefixes_are_refused() {
        for (address, prefix) in [("10.0.0.0", 33), ("::", 129), ("::ffff:10.0.0.0", 95)] {
            assert!(range(address, Some(prefix)).is_err(), "{address}/{prefix}");
        }
        assert_eq!(range("::ffff:10.0.0.9", Some(104)).unwrap().to_string(), "10.0.0.0/8");
    }
}
