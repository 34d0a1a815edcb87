//! What a frame is that has no TCP segment which can be read.

use etherparse::{IpNumber, LaxNetSlice, LaxSlicedPacket, TransportSlice};
use std::net::{IpAddr, SocketAddr};

/// Why a frame is none of a connection's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::import) enum Other {
    /// A part of an IP packet.
    Fragment,
    /// A protocol that may carry TCP within.
    Carrier(&'static str),
    /// Cut off before the end of its headers.
    Cut,
    /// Another protocol.
    Foreign,
    /// An ICMP error that quotes a TCP segment between these two.
    Quote(SocketAddr, SocketAddr),
}

impl Other {
    /// What a number of such frames is, for people.
    pub(in crate::import) fn told(self) -> String {
        match self {
            Self::Fragment => {
                "packets are fragments of IP packets, which are not put together".to_owned()
            }
            Self::Carrier(name) => {
                format!(
                    "packets are {name}, and what they carry is not looked into; allowed: a capture behind the {name} end point"
                )
            }
            Self::Cut => "packets are cut off within their headers".to_owned(),
            Self::Foreign => "packets are no TCP".to_owned(),
            Self::Quote(..) => "packets are ICMP errors that quote TCP".to_owned(),
        }
    }

    /// What a packet without a TCP segment is.
    pub(super) fn of(packet: &LaxSlicedPacket<'_>, kind: Option<u16>) -> Self {
        let Some(net) = &packet.net else {
            let kind = packet
                .ether_payload()
                .map(|payload| payload.ether_type.0)
                .or(kind);
            return match kind {
                Some(0x8863 | 0x8864) => Self::Carrier("PPPoE"),
                Some(0x8847 | 0x8848) => Self::Carrier("MPLS"),
                Some(0x88e5) => Self::Carrier("MACsec"),
                Some(0x6558) => Self::Carrier("transparent Ethernet bridging"),
                Some(0x0800 | 0x86dd) | None => Self::Cut,
                Some(_) => Self::Foreign,
            };
        };
        let Some(payload) = packet.ip_payload() else {
            return Self::Foreign;
        };
        if payload.fragmented {
            return Self::Fragment;
        }
        match (payload.ip_number, &packet.transport) {
            (IpNumber::GRE, _) => Self::Carrier("GRE"),
            (IpNumber::IPV4 | IpNumber::IPV6, _) => Self::Carrier("IP in IP"),
            (IpNumber::ENCAPSULATING_SECURITY_PAYLOAD, _) => Self::Carrier("IPsec"),
            (IpNumber::UDP, Some(TransportSlice::Udp(udp))) => {
                let is = |port: u16| udp.destination_port() == port;
                match () {
                    () if is(4789) || is(8472) => Self::Carrier("VXLAN"),
                    () if is(6081) => Self::Carrier("Geneve"),
                    () if is(2152) => Self::Carrier("GTP-U"),
                    () => Self::Foreign,
                }
            }
            (IpNumber::TCP, _) => Self::Cut,
            (IpNumber::ICMP | IpNumber::IPV6_ICMP, _) => {
                quote(net, payload.payload).unwrap_or(Self::Foreign)
            }
            _ => Self::Foreign,
        }
    }
}

/// The ends of the TCP segment that an ICMP error quotes.
fn quote(net: &LaxNetSlice<'_>, icmp: &[u8]) -> Option<Other> {
    let is_error = match (net, *icmp.first()?) {
        (LaxNetSlice::Ipv4(_), kind) => matches!(kind, 3 | 4 | 5 | 11 | 12),
        (LaxNetSlice::Ipv6(_), kind) => (1..=4).contains(&kind),
        (LaxNetSlice::Arp(_), _) => false,
    };
    let quoted = icmp.get(8..).filter(|_| is_error)?;
    // Eight bytes of the segment are enough for its ports: too few for a header that is whole.
    let (source, destination, kind, segment): (IpAddr, IpAddr, u8, &[u8]) =
        match quoted.first()? >> 4 {
            4 => {
                let address = |at: usize| {
                    Some(IpAddr::from(
                        <[u8; 4]>::try_from(quoted.get(at..at + 4)?).ok()?,
                    ))
                };
                let header = usize::from(quoted[0] & 0xf) * 4;
                (
                    address(12)?,
                    address(16)?,
                    *quoted.get(9)?,
                    quoted.get(header.max(20)..)?,
                )
            }
            6 => {
                let address = |at: usize| {
                    Some(IpAddr::from(
                        <[u8; 16]>::try_from(quoted.get(at..at + 16)?).ok()?,
                    ))
                };
                (
                    address(8)?,
                    address(24)?,
                    *quoted.get(6)?,
                    quoted.get(40..)?,
                )
            }
            _ => return None,
        };
    let port = |at: usize| {
        Some(u16::from_be_bytes(
            segment.get(at..at + 2)?.try_into().ok()?,
        ))
    };
    (kind == IpNumber::TCP.0).then_some(Other::Quote(
        SocketAddr::new(source, port(0)?),
        SocketAddr::new(destination, port(2)?),
    ))
}
