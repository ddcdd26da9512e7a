use std::{fmt, net::IpAddr, str::FromStr};

use clap::Args;

use super::default_by_clap;

/// Where clients may have us call: their webhooks, and what else they name by an address.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Outbound")]
pub struct OutboundConfig {
    /// Whether addresses that clients name may be http; else only https
    #[arg(long, env = "GRISTMILL_OUTBOUND_HTTP", default_value_t = false, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub outbound_http: bool,

    /// The ports that may be called, such as 443,8443, or `any`
    #[arg(long, env = "GRISTMILL_OUTBOUND_PORTS", default_value = "443,8443", value_name = "PORTS")]
    pub outbound_ports: Ports,

    /// Networks that may be called beside public addresses, such as 10.1.0.0/16,fd00::/8 [default of `up`: this machine]
    #[arg(long, env = "GRISTMILL_OUTBOUND_NETWORKS", value_delimiter = ',', value_name = "CIDRS")]
    pub outbound_networks: Vec<Network>,
}

default_by_clap!(OutboundConfig);

/// Ports that may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ports {
    /// Whichever.
    Any,
    /// These.
    Of(Vec<u16>),
}

impl Ports {
    /// Whether it is one of them.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        match self {
            Self::Any => true,
            Self::Of(ports) => ports.contains(&port),
        }
    }
}

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim() == "any" {
            return Ok(Self::Any);
        }
        let ports = text.split(',').map(|port| port.trim().parse::<u16>());
        let ports = ports.collect::<Result<Vec<_>, _>>();
        ports.map(Self::Of).map_err(|_| format!("`{text}` is neither `any` nor ports such as 443,8443"))
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Of(ports) => f.write_str(&ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",")),
        }
    }
}

/// Addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether the address is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (a, b, bits) = match (self.base, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
            _ => return false,
        };
        self.prefix == 0 || (a ^ b) >> (bits - u32::from(self.prefix)) == 0
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a network such as 10.1.0.0/16 or fd00::/8");
        let (base, prefix) = text.trim().split_once('/').ok_or_else(wrong)?;
        let base: IpAddr = base.parse().map_err(|_| wrong())?;
        let prefix: u8 = prefix.parse().map_err(|_| wrong())?;
        let bits = if base.is_ipv4() { 32 } else { 128 };
        if prefix > bits { Err(wrong()) } else { Ok(Self { base, prefix }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let network: Network = "10.1.0.0/16".parse().unwrap();
        assert!(network.contains("10.1.255.1".parse().unwrap()) && !network.contains("10.2.0.0".parse().unwrap()));
        assert!("::1/128".parse::<Network>().unwrap().contains("::1".parse().unwrap()));
        assert!("0.0.0.0/0".parse::<Network>().unwrap().contains("8.8.8.8".parse().unwrap()));
        assert!(["10.0.0.0", "10.0.0.0/33", "x/8", "::/129"].iter().all(|text| text.parse::<Network>().is_err()));
    }

    #[test]
    fn ports() {
        let ports: Ports = "443, 8443".parse().unwrap();
        assert!(ports.contains(8443) && !ports.contains(80));
        assert!("any".parse::<Ports>().unwrap().contains(80) && "https".parse::<Ports>().is_err());
    }
}
