//! Ranges of IP addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses of one family that begin alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AddressRange {
    pub(crate) address: IpAddr,
    /// In bits.
    pub(crate) length: u8,
}

impl AddressRange {
    /// `10.0.0.0/8`, or one address. B6 of the identity cases: a range of mapped addresses is one of IPv4, and a bare address is
    /// one host whatever its family.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address.parse::<IpAddr>().ok()?, Some(length)),
            None => (text.parse::<IpAddr>().ok()?, None),
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => most,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse::<u8>().ok()?,
            Some(_) => return None,
        };
        if length > most {
            return None;
        }
        match address {
            IpAddr::V6(mapped) => match (mapped.to_ipv4_mapped(), length.checked_sub(96)) {
                (Some(address), Some(length)) => Some(Self { address: address.into(), length }),
                // It would hold for a part of the mapped addresses and of others.
                (Some(_), None) => None,
                (None, _) => Some(Self { address, length }),
            },
            IpAddr::V4(_) => Some(Self { address, length }),
        }
        .map(Self::masked)
    }

    /// Without the bits behind its length.
    fn masked(self) -> Self {
        let address = match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.length)).unwrap_or(0);
                Ipv4Addr::from(u32::from(address) & mask).into()
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.length)).unwrap_or(0);
                Ipv6Addr::from(u128::from(address) & mask).into()
            }
        };
        Self { address, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Case B6 of the identity cases.
    #[test]
    fn range_is_of_one_family() {
        let rows = [
            ("10.1.2.3", Some("10.1.2.3/32")),
            ("10.1.2.3/8", Some("10.0.0.0/8")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("::/0", Some("::/0")),
            ("::1", Some("::1/128")),
            ("::ffff:192.0.2.1/120", Some("192.0.2.0/24")),
            ("::ffff:10.0.0.1", Some("10.0.0.1/32")),
            ("::ffff:0.0.0.0/95", None),
            ("10.0.0.1/33", None),
            ("::1/129", None),
            ("10.0.0.1/", None),
            ("10.0.0.1/+8", None),
            ("10.0.0/8", None),
            ("orders", None),
        ];
        for (text, expected) in rows {
            let found = AddressRange::parse(text).map(|range| format!("{}/{}", range.address, range.length));
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
