//! Addresses from which no key set is fetched: a configuration that names one would make the server ask services that believe
//! every caller on the machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether key sets may be fetched from this address although nothing allows it by name.
pub(crate) fn is_fetchable(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_fetchable_v4(address),
        IpAddr::V6(address) => is_fetchable_v6(address),
    }
}

fn is_fetchable_v4(address: Ipv4Addr) -> bool {
    let is_this_network = address.octets()[0] == 0;
    !(is_this_network
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || METADATA.contains(&address))
}

fn is_fetchable_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let low = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match segments {
        // the ways to write an IPv4 address: without a prefix, translated (RFC 6052), 6to4
        [0, 0, 0, 0, 0, 0, a, b] if a != 0 => return is_fetchable_v4(low(a, b)),
        [0x64, 0xff9b, 0, 0, 0, 0, a, b] => return is_fetchable_v4(low(a, b)),
        [0x2002, a, b, ..] => return is_fetchable_v4(low(a, b)),
        _ => {}
    }
    !(address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || address.is_unicast_link_local()
        || address == METADATA_V6)
}

/// Services of clouds that hand out credentials outside of 169.254.0.0/16.
const METADATA: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(192, 0, 0, 192)];
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_addresses_and_those_of_metadata_are_not_fetchable() {
        let refused = [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "169.254.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::1",
        ];
        for address in refused {
            assert!(!is_fetchable(address.parse().unwrap()), "{address}");
        }
        for address in
            ["10.0.0.1", "192.168.1.1", "203.0.113.9", "2001:db8::1", "fd00::1", "64:ff9b::8.8.8.8"]
        {
            assert!(is_fetchable(address.parse().unwrap()), "{address}");
        }
    }
}
