//! Which addresses are public: those that the registries of special purposes (RFC 6890 and its successors) leave.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use gristmill_platform::config::OutboundConfig;

/// Whether this address may be connected to.
pub(super) fn may_call(config: &OutboundConfig, address: IpAddr) -> bool {
    let address = address.to_canonical();
    is_public(address) || config.outbound_networks.iter().any(|network| network.contains(address))
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127 | 224.., ..]      // this network, private, this machine, multicast and reserved
            | [100, 64..=127, ..]       // carriers' own
            | [168, 63, 129, 16]        // Azure's metadata and agents, on a public number
            | [169, 254, ..]            // link-local, where clouds keep their metadata
            | [172, 16..=31, ..]        // private
            | [192, 0, 0 | 2, _]        // protocols, documentation
            | [192, 31, 196, _] | [192, 52, 193, _] | [192, 175, 48, _] // AS112, AMT
            | [192, 88, 99, _]          // 6to4 relays
            | [192, 168, ..]            // private
            | [198, 18 | 19, ..]        // benchmarks
            | [198, 51, 100, _]
            | [203, 0, 113, _] // documentation
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // NAT64: what stands behind it
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))),
        [0x2001, 0..=0x01ff, ..]          // protocols, Teredo, ORCHID among them
        | [0x2001, 0xdb8, ..]            // documentation
        | [0x2002, ..]                   // 6to4
        | [0x2620, 0x4f, 0x8000, ..]     // AS112
        | [0x3fff, 0..=0x0fff, ..] => false, // documentation
        // everything public is in 2000::/3
        [first, ..] => first & 0xe000 == 0x2000,
    }
}
