//! The older format: one header, then records.

use super::{End, Frame, Seen, broken, fill, link};
use crate::import::Unreadable;
use pcap_file::pcap::PcapParser;
use pcap_file::{Endianness, PcapError, TsResolution};
use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
/// The longest record that libpcap and Wireshark read.
const RECORD_MAX: usize = 262_144;

pub(super) fn frames(
    mut file: impl Read,
    mut see: impl FnMut(Frame<'_>) -> Result<(), Unreadable>,
) -> Result<Seen, Unreadable> {
    let mut record = vec![0; RECORD_HEADER + RECORD_MAX];
    let length = fill(&mut file, &mut record[..FILE_HEADER])?;
    let (_, parser) = PcapParser::new(&record[..length]).map_err(broken)?;
    let header = parser.header();
    let field = u32::from(header.datalink);
    let link = link(field).ok_or(Unreadable::Link(field & 0xffff))?;
    let nanoseconds = match header.ts_resolution {
        TsResolution::MicroSecond => 1_000,
        TsResolution::NanoSecond => 1,
    };
    let seen = |end| {
        Ok(Seen {
            end,
            unknown: BTreeMap::new(),
        })
    };
    let mut place = FILE_HEADER as u64;
    for number in 1_u64.. {
        match fill(&mut file, &mut record[..RECORD_HEADER])? {
            0 => return seen(End::Whole),
            RECORD_HEADER => {}
            _ => return seen(End::Cut),
        }
        let field = [record[8], record[9], record[10], record[11]];
        let captured = match header.endianness {
            Endianness::Big => u32::from_be_bytes(field),
            Endianness::Little => u32::from_le_bytes(field),
        } as usize;
        if captured > RECORD_MAX {
            return seen(End::Corrupt(format!(
                "record {number}, at byte {place}, is {captured} bytes long, by its header"
            )));
        }
        let end = RECORD_HEADER + captured;
        if fill(&mut file, &mut record[RECORD_HEADER..end])? < captured {
            return seen(End::Cut);
        }
        place += end as u64;
        // The parser's own check of a packet refuses those that are longer than the snap length: the very ones that were cut by it.
        let packet = match parser.next_raw_packet(&record[..end]) {
            Ok((_, packet)) => packet,
            Err(PcapError::IncompleteBuffer) => return seen(End::Cut),
            Err(error) => return Err(broken(error)),
        };
        let fraction = u64::from(packet.ts_frac) * nanoseconds;
        see(Frame {
            at: Duration::from_secs(packet.ts_sec.into()) + Duration::from_nanos(fraction),
            link,
            bytes: &packet.data,
            length: packet.orig_len.max(packet.incl_len) as usize,
        })?;
    }
    seen(End::Whole)
}
