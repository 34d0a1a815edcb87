//! The packets of a run as a capture file, which Wireshark and tcpdump open.
//!
//! The file is as if both hosts had been listened to with one clock: a packet has the simulated time at which it left
//! its sender, in seconds since the run's start. So a lost packet is there, and again when it was sent again.
//! There is no link layer (`LINKTYPE_RAW`): a record is an IP packet.

use crate::packet::Packet;
use etherparse::{PacketBuilder, PacketBuilderStep, TcpHeader, TcpOptionElement};
use hangup_network::Packet as Wire;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::{DataLink, TsResolution};
use std::net::IpAddr;

/// How many routers a packet may pass: what Linux sets.
const HOPS: u8 = 64;
/// The longest record: an IP packet cannot be longer.
const RECORD_MAX: u32 = 65_535;

/// The capture file. Packets that do not have their whole payload (see
/// [`Detail::packets`](crate::run::Detail::packets)) are left with what they have.
pub fn capture(packets: &[Packet]) -> Vec<u8> {
    let header = PcapHeader {
        snaplen: RECORD_MAX,
        datalink: DataLink::RAW,
        ts_resolution: TsResolution::NanoSecond,
        ..PcapHeader::default()
    };
    let mut file =
        PcapWriter::with_header(Vec::new(), header).expect("writing to memory does not fail");
    for packet in packets {
        let bytes = bytes(&packet.wire);
        let record = PcapPacket::new(packet.at, bytes.len() as u32, &bytes);
        file.write_packet(&record)
            .expect("a packet is shorter than the longest record");
    }
    file.into_writer()
}

/// An IP packet with its TCP header and checksums.
fn bytes(packet: &Wire<'_>) -> Vec<u8> {
    let builder = match (packet.source.ip(), packet.destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            PacketBuilder::ipv4(source.octets(), destination.octets(), HOPS)
        }
        (source, destination) => {
            let octets = |ip| match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                IpAddr::V6(ip) => ip.octets(),
            };
            PacketBuilder::ipv6(octets(source), octets(destination), HOPS)
        }
    };
    let builder: PacketBuilderStep<TcpHeader> = builder.tcp_header(header(packet));
    let mut bytes = Vec::with_capacity(builder.size(packet.payload.len()));
    builder
        .write(&mut bytes, &packet.payload)
        .expect("the network sends no payload that an IP packet has no room for");
    bytes
}

fn header(packet: &Wire<'_>) -> TcpHeader {
    let mut header = TcpHeader::new(
        packet.source.port(),
        packet.destination.port(),
        packet.sequence,
        packet.window,
    );
    header.ack = packet.acknowledgement.is_some();
    header.acknowledgment_number = packet.acknowledgement.unwrap_or(0);
    header.syn = packet.syn.is_some();
    header.fin = packet.fin;
    header.rst = packet.reset;
    header.psh = packet.push;
    if let Some(options) = packet.syn {
        header
            .set_options(&[
                TcpOptionElement::MaximumSegmentSize(options.segment_size),
                TcpOptionElement::Noop,
                TcpOptionElement::WindowScale(options.window_scale),
            ])
            .expect("two options fit into a header");
    }
    header
}
