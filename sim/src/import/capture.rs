//! Captures: pcap and pcapng, read packet by packet, so that a file may be longer than the memory.

mod segment;

pub(super) use segment::{Link, Segment};

use super::Unreadable;
use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::PcapNgReader;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::{ENHANCED_PACKET_BLOCK, SIMPLE_PACKET_BLOCK};
use pcap_file::{DataLink, Endianness, PcapError, TsResolution};
use std::io::{self, Read};
use std::time::Duration;

/// One record of a capture.
pub(super) struct Frame<'a> {
    /// By the clock of the host that captured it.
    pub(super) at: Duration,
    pub(super) link: Link,
    /// What was captured of it, from the link layer on.
    pub(super) bytes: &'a [u8],
    /// How long it was on the wire.
    pub(super) length: usize,
}

/// How a file begins.
pub(super) fn is_capture(beginning: &[u8]) -> bool {
    is_pcapng(beginning)
        || [
            [0xa1, 0xb2, 0xc3, 0xd4],
            [0xa1, 0xb2, 0x3c, 0x4d],
            [0xd4, 0xc3, 0xb2, 0xa1],
            [0x4d, 0x3c, 0xb2, 0xa1],
        ]
        .iter()
        .any(|magic| beginning.starts_with(magic))
}

fn is_pcapng(beginning: &[u8]) -> bool {
    beginning.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a])
}

/// Gives every frame to `see`, until there are no more, or one says that it is enough. What is cut off at the end of the file, as when a
/// capture was stopped by force, is left out; true if that was so.
pub(super) fn frames(
    file: impl Read,
    beginning: &[u8],
    see: impl FnMut(Frame<'_>) -> Result<(), Unreadable>,
) -> Result<bool, Unreadable> {
    if is_pcapng(beginning) {
        of_pcapng(file, see)
    } else {
        of_pcap(file, see)
    }
}

/// Was the file cut off there? Anything else is an error.
fn cut_off(error: PcapError) -> Result<bool, Unreadable> {
    match error {
        PcapError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(true),
        PcapError::IncompleteBuffer => Ok(true),
        PcapError::IoError(error) => Err(Unreadable::Io(error)),
        other => Err(Unreadable::NoCapture(other.to_string())),
    }
}

fn of_pcap(
    file: impl Read,
    mut see: impl FnMut(Frame<'_>) -> Result<(), Unreadable>,
) -> Result<bool, Unreadable> {
    let mut reader = match PcapReader::new(file) {
        Ok(reader) => reader,
        Err(error) => return cut_off(error),
    };
    let header = reader.header();
    let link = link(header.datalink)?;
    let nanoseconds = match header.ts_resolution {
        TsResolution::MicroSecond => 1_000,
        TsResolution::NanoSecond => 1,
    };
    // The reader's own check of a packet refuses those that are longer than the snap length: the very ones that were cut by it.
    while let Some(packet) = reader.next_raw_packet() {
        let packet = match packet {
            Ok(packet) => packet,
            Err(error) => return cut_off(error),
        };
        let fraction = u64::from(packet.ts_frac) * nanoseconds;
        see(Frame {
            at: Duration::from_secs(packet.ts_sec.into()) + Duration::from_nanos(fraction),
            link,
            bytes: &packet.data,
            length: packet.orig_len.max(packet.incl_len) as usize,
        })?;
    }
    Ok(false)
}

fn link(kind: DataLink) -> Result<Link, Unreadable> {
    Link::of(kind).ok_or(Unreadable::Link(kind.into()))
}

fn of_pcapng(
    file: impl Read,
    mut see: impl FnMut(Frame<'_>) -> Result<(), Unreadable>,
) -> Result<bool, Unreadable> {
    let mut reader = match PcapNgReader::new(file) {
        Ok(reader) => reader,
        Err(error) => return cut_off(error),
    };
    let mut last = Duration::ZERO;
    loop {
        let endianness = reader.section().endianness;
        let (kind, body) = match reader.next_raw_block() {
            None => return Ok(false),
            Some(Err(error)) => return cut_off(error),
            Some(Ok(block))
                if [ENHANCED_PACKET_BLOCK, SIMPLE_PACKET_BLOCK].contains(&block.type_) =>
            {
                (block.type_, block.body.into_owned())
            }
            Some(Ok(_)) => continue,
        };
        let number = |at: usize| {
            let bytes = body.get(at..at + 4)?.try_into().ok()?;
            Some(match endianness {
                Endianness::Big => u32::from_be_bytes(bytes),
                Endianness::Little => u32::from_le_bytes(bytes),
            })
        };
        let enhanced = kind == ENHANCED_PACKET_BLOCK;
        // Interface, time in two halves, captured length, original length; a simple packet has the last of these only.
        let fields = if enhanced {
            [number(0), number(4), number(8), number(12), number(16)]
        } else {
            let whole = body.len().saturating_sub(4) as u32;
            let captured = number(0).map(|original| original.min(whole));
            [Some(0), Some(0), Some(0), captured, number(0)]
        };
        let [
            Some(interface),
            Some(high),
            Some(low),
            Some(captured),
            Some(original),
        ] = fields
        else {
            return Err(Unreadable::NoCapture(
                "a packet block is too short".to_owned(),
            ));
        };
        let start: usize = if enhanced { 20 } else { 4 };
        let Some(bytes) = body.get(start..start.saturating_add(captured as usize)) else {
            return Err(Unreadable::NoCapture(
                "a packet is longer than its block".to_owned(),
            ));
        };
        let Some(interface) = reader.interfaces().get(interface as usize) else {
            return Err(Unreadable::NoCapture(format!(
                "a packet of interface {interface}, which is not described"
            )));
        };
        // A simple packet has no time of its own.
        if enhanced {
            last = time(u64::from(high) << 32 | u64::from(low), interface);
        }
        see(Frame {
            at: last,
            link: link(interface.linktype)?,
            bytes,
            length: original.max(captured) as usize,
        })?;
    }
}

/// A time in the units of its interface: microseconds, unless that says otherwise.
fn time(ticks: u64, interface: &InterfaceDescriptionBlock<'_>) -> Duration {
    let resolution = interface.options.iter().find_map(|option| match option {
        InterfaceDescriptionOption::IfTsResol(resolution) => Some(*resolution),
        _ => None,
    });
    let resolution = resolution.unwrap_or(6);
    let per_second = match resolution & 0x80 {
        0 => 10_u128.checked_pow(resolution.into()),
        _ => 2_u128.checked_pow((resolution & 0x7f).into()),
    };
    let nanoseconds = per_second.and_then(|per_second| {
        u64::try_from(u128::from(ticks) * 1_000_000_000 / per_second.max(1)).ok()
    });
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}
