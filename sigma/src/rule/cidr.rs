//! Owns networks: reading them and asking whether an address text lies in one.

use std::net::IpAddr;

/// A network; a bare address is one of full length, host bits are cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr {
    /// The network's address.
    pub address: IpAddr,
    /// The length of its prefix.
    pub prefix: u8,
}

impl Cidr {
    /// Reads `10.0.0.0/8`, `2001:db8::/32`, or a bare address.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().ok().filter(|&p| p <= width)?
            }
            Some(_) => return None,
            None => width,
        };
        Some(Self { address: mask(address, prefix), prefix })
    }

    /// Whether the text is an address in this network.
    ///
    /// An IPv4 address in IPv6 notation (`::ffff:10.0.0.1`) counts as the IPv4 address; a zone (`%eth0`) is left out
    /// of account. Anything else in the text makes it no address.
    pub fn contains(&self, text: &str) -> bool {
        let text = text.split_once('%').map_or(text, |(address, _)| address);
        let Ok(address) = text.parse::<IpAddr>() else { return false };
        self.contains_address(address) || mapped(address).is_some_and(|v4| self.contains_address(v4))
    }

    fn contains_address(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && mask(address, self.prefix) == self.address
    }
}

fn mapped(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map(IpAddr::V4),
        IpAddr::V4(v4) => Some(IpAddr::V6(v4.to_ipv6_mapped())),
    }
}

fn mask(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_addresses() {
        for (network, address, inside) in [
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.1.2.3/8", "10.200.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("10.0.0.0/8", "10.0.0.0/8", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::1", false),
            ("::1/128", "::1", true),
            ("::1", "0:0:0:0:0:0:0:1", true),
            ("fe80::/10", "fe80::1%eth0", true),
            ("2001:db8::/32", "2001:0db8:0000::1", true),
            ("::ffff:10.0.0.0/104", "10.9.9.9", true),
            ("192.168.1.1", "192.168.1.1", true),
            ("192.168.1.1", "localhost", false),
        ] {
            assert_eq!(Cidr::parse(network).unwrap().contains(address), inside, "{address} in {network}");
        }
        for text in ["10.0.0.0/33", "10.0.0.0/", "10.0.0/8", "::/129", "a", "10.0.0.0/+8"] {
            assert!(Cidr::parse(text).is_none(), "{text}");
        }
    }
}
