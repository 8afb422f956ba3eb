//! Owns the socket addresses of auditd's `saddr`: the kernel's bytes in hex.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address and port; `None` for other families than IP and for what is cut.
pub(super) fn parse(bytes: &[u8]) -> Option<(IpAddr, u16)> {
    const INET: u16 = 2;
    const INET6: u16 = 10;
    let family = u16::from_le_bytes([*bytes.first()?, *bytes.get(1)?]);
    let port = u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]);
    match family {
        INET => {
            let address: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            Some((IpAddr::V4(Ipv4Addr::from(address)), port))
        }
        INET6 => {
            let address: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            let address = Ipv6Addr::from(address);
            Some((address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4), port))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn both_families_and_nothing_else() {
        let v4 = [2, 0, 0, 80, 169, 254, 169, 254, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(parse(&v4).map(|(a, p)| (a.to_string(), p)), Some(("169.254.169.254".into(), 80)));
        let mut v6 = [0u8; 28];
        (v6[0], v6[3], v6[23]) = (10, 22, 1);
        assert_eq!(parse(&v6).map(|(a, p)| (a.to_string(), p)), Some(("::1".into(), 22)));
        assert_eq!(parse(&[1, 0, 47, 118]), None);
        assert_eq!(parse(&v4[..6]), None);
    }
}
