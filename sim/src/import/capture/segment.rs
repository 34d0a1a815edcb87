//! What a frame says: one TCP segment, or nothing that matters here.

use super::Other;
use etherparse::{
    EtherType, LaxNetSlice, LaxSlicedPacket, TcpOptionElement, TcpSlice, TransportSlice,
};
use pcap_file::DataLink;
use std::net::{IpAddr, SocketAddr};

/// What stands before the IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::import) enum Link {
    Ethernet,
    /// Nothing.
    Raw,
    /// Four bytes with the address family, as the BSDs' loopback has it.
    Family,
    /// Linux's "any" device.
    Cooked,
    /// The newer form of that.
    Cooked2,
}

impl Link {
    pub(super) fn of(kind: DataLink) -> Option<Self> {
        Some(match kind {
            DataLink::ETHERNET => Self::Ethernet,
            // Some systems write 12 or 14 where 101 is meant.
            DataLink::RAW | DataLink::IPV4 | DataLink::IPV6 | DataLink::Unknown(12 | 14) => {
                Self::Raw
            }
            DataLink::NULL | DataLink::LOOP => Self::Family,
            DataLink::LINUX_SLL => Self::Cooked,
            DataLink::LINUX_SLL2 => Self::Cooked2,
            _ => return None,
        })
    }

    /// The packet behind the link layer, and its EtherType where that stands before it.
    fn strip(self, frame: &[u8]) -> Option<(LaxSlicedPacket<'_>, Option<u16>)> {
        let typed = |at: usize, behind: usize| {
            let kind = u16::from_be_bytes(frame.get(at..at + 2)?.try_into().ok()?);
            let rest = frame.get(behind..)?;
            let packet = LaxSlicedPacket::from_ether_type(EtherType(kind), rest);
            Some((packet, Some(kind)))
        };
        let untyped = |packet| (packet, None);
        match self {
            Self::Ethernet => LaxSlicedPacket::from_ethernet(frame).ok().map(untyped),
            Self::Raw => LaxSlicedPacket::from_ip(frame).ok().map(untyped),
            Self::Family => LaxSlicedPacket::from_ip(frame.get(4..)?).ok().map(untyped),
            Self::Cooked => typed(14, 16),
            Self::Cooked2 => typed(0, 20),
        }
    }
}

/// One TCP segment.
#[derive(Debug)]
pub(in crate::import) struct Segment<'a> {
    pub(in crate::import) source: SocketAddr,
    pub(in crate::import) destination: SocketAddr,
    pub(in crate::import) sequence: u32,
    pub(in crate::import) acknowledgement: Option<u32>,
    pub(in crate::import) syn: bool,
    pub(in crate::import) fin: bool,
    pub(in crate::import) reset: bool,
    /// The window field, not scaled.
    pub(in crate::import) window: u16,
    /// By how many bits later window fields are to be shifted; SYN only.
    pub(in crate::import) scale: Option<u8>,
    /// The largest segment that its sender takes; SYN only.
    pub(in crate::import) segment_size: Option<u16>,
    /// What was captured of the payload.
    pub(in crate::import) payload: &'a [u8],
    /// How long the payload was on the wire.
    pub(in crate::import) length: usize,
}

impl<'a> Segment<'a> {
    /// The segment in a frame that was `length` bytes long on the wire, or what the frame is instead.
    pub(in crate::import) fn of(link: Link, frame: &'a [u8], length: usize) -> Result<Self, Other> {
        let (packet, kind) = link.strip(frame).ok_or(Other::Cut)?;
        let (Some(TransportSlice::Tcp(tcp)), Some(net)) = (&packet.transport, &packet.net) else {
            return Err(Other::of(&packet, kind));
        };
        let (source, destination, announced): (IpAddr, IpAddr, usize) = match net {
            LaxNetSlice::Ipv4(ip) => {
                let header = ip.header();
                let announced = usize::from(header.total_len());
                (
                    header.source_addr().into(),
                    header.destination_addr().into(),
                    announced.saturating_sub(header.slice().len()),
                )
            }
            LaxNetSlice::Ipv6(ip) => {
                let announced = usize::from(ip.header().payload_length());
                (
                    ip.header().source_addr().into(),
                    ip.header().destination_addr().into(),
                    announced.saturating_sub(ip.extensions().slice().len()),
                )
            }
            LaxNetSlice::Arp(_) => return Err(Other::Foreign),
        };
        // Where the card cuts large packets later (TSO) the IP header may not say how long it is.
        let announced = match announced {
            0 => {
                let before = tcp.slice().as_ptr() as usize - frame.as_ptr() as usize;
                length.saturating_sub(before)
            }
            announced => announced,
        };
        let payload = tcp.payload();
        let (scale, segment_size) = if tcp.syn() {
            options(tcp)
        } else {
            (None, None)
        };
        Ok(Self {
            source: SocketAddr::new(source, tcp.source_port()),
            destination: SocketAddr::new(destination, tcp.destination_port()),
            sequence: tcp.sequence_number(),
            acknowledgement: tcp.ack().then(|| tcp.acknowledgment_number()),
            syn: tcp.syn(),
            fin: tcp.fin(),
            reset: tcp.rst(),
            window: tcp.window_size(),
            scale,
            segment_size,
            payload,
            length: announced
                .saturating_sub(tcp.header_slice().len())
                .max(payload.len()),
        })
    }
}

fn options(tcp: &TcpSlice<'_>) -> (Option<u8>, Option<u16>) {
    let (mut scale, mut segment_size) = (None, None);
    for option in tcp.options_iterator().map_while(Result::ok) {
        match option {
            TcpOptionElement::WindowScale(shift) => scale = Some(shift.min(14)),
            TcpOptionElement::MaximumSegmentSize(size) => segment_size = Some(size),
            _ => {}
        }
    }
    (scale, segment_size)
}
