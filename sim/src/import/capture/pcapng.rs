//! The newer format: blocks, of which some describe interfaces and some hold packets.

use super::{End, Frame, Seen, broken, fill, link};
use crate::import::Unreadable;
use pcap_file::Endianness;
use pcap_file::pcapng::PcapNgParser;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::{ENHANCED_PACKET_BLOCK, SECTION_HEADER_BLOCK, SIMPLE_PACKET_BLOCK};
use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

/// Type, length, and the first four bytes of what follows: of a section header, the mark of its byte order.
const BLOCK_HEADER: usize = 12;
/// The longest block that Wireshark reads.
const BLOCK_MAX: usize = 16 << 20;

/// The next block, whole, in `block`; how the file ends where there is none.
fn next(
    file: &mut impl Read,
    block: &mut Vec<u8>,
    endianness: Endianness,
    place: u64,
) -> Result<Option<End>, Unreadable> {
    block.resize(BLOCK_HEADER, 0);
    match fill(file, block)? {
        0 => return Ok(Some(End::Whole)),
        BLOCK_HEADER => {}
        _ => return Ok(Some(End::Cut)),
    }
    let field = |at: usize| [block[at], block[at + 1], block[at + 2], block[at + 3]];
    let is_section = field(0) == SECTION_HEADER_BLOCK.to_be_bytes();
    let is_big = match is_section {
        true => field(8) == [0x1a, 0x2b, 0x3c, 0x4d],
        false => endianness == Endianness::Big,
    };
    let length = match is_big {
        true => u32::from_be_bytes(field(4)),
        false => u32::from_le_bytes(field(4)),
    } as usize;
    if !(BLOCK_HEADER..=BLOCK_MAX).contains(&length) || !length.is_multiple_of(4) {
        return Ok(Some(End::Corrupt(format!(
            "the block at byte {place} is {length} bytes long, by its header"
        ))));
    }
    block.resize(length, 0);
    let cut = fill(file, &mut block[BLOCK_HEADER..])? < length - BLOCK_HEADER;
    Ok(cut.then_some(End::Cut))
}

pub(super) fn frames(
    mut file: impl Read,
    mut see: impl FnMut(Frame<'_>) -> Result<(), Unreadable>,
) -> Result<Seen, Unreadable> {
    let mut block = Vec::new();
    let mut unknown: BTreeMap<u32, u64> = BTreeMap::new();
    if next(&mut file, &mut block, Endianness::Big, 0)?.is_some() {
        return Err(Unreadable::NoCapture(
            "its first block is not whole".to_owned(),
        ));
    }
    let (_, mut parser) = PcapNgParser::new(&block).map_err(broken)?;
    let mut place = block.len() as u64;
    let (mut last, mut known) = (Duration::ZERO, 0_u64);
    let end = loop {
        let endianness = parser.section().endianness;
        if let Some(end) = next(&mut file, &mut block, endianness, place)? {
            break end;
        }
        let raw = match parser.next_raw_block(&block) {
            Ok((_, raw)) => raw,
            Err(error) => break End::Corrupt(format!("the block at byte {place}: {error}")),
        };
        let here = place;
        place += block.len() as u64;
        let enhanced = raw.type_ == ENHANCED_PACKET_BLOCK;
        if !enhanced && raw.type_ != SIMPLE_PACKET_BLOCK {
            continue;
        }
        let body = &raw.body;
        let number = |at: usize| {
            let bytes = body.get(at..at + 4)?.try_into().ok()?;
            Some(match parser.section().endianness {
                Endianness::Big => u32::from_be_bytes(bytes),
                Endianness::Little => u32::from_le_bytes(bytes),
            })
        };
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
            break End::Corrupt(format!("the packet at byte {here} has no header"));
        };
        let start: usize = if enhanced { 20 } else { 4 };
        let Some(bytes) = body.get(start..start.saturating_add(captured as usize)) else {
            break End::Corrupt(format!(
                "the packet at byte {here} is {captured} bytes long, longer than its block"
            ));
        };
        let Some(interface) = parser.interfaces().get(interface as usize) else {
            break End::Corrupt(format!(
                "the packet at byte {here} is of interface {interface}, which is not described"
            ));
        };
        // A simple packet has no time of its own.
        if enhanced {
            last = time(u64::from(high) << 32 | u64::from(low), interface);
        }
        let field = u32::from(interface.linktype);
        let Some(link) = link(field) else {
            *unknown.entry(field).or_default() += 1;
            continue;
        };
        known += 1;
        see(Frame {
            at: last,
            link,
            bytes,
            length: original.max(captured) as usize,
        })?;
    };
    match unknown.first_key_value() {
        Some((field, _)) if known == 0 => Err(Unreadable::Link(*field)),
        _ => Ok(Seen { end, unknown }),
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
