//! Captures: pcap and pcapng, read record by record, so that a file may be larger than memory.
//!
//! | module | idea |
//! |---|---|
//! | `pcap`, `pcapng` | the records of the two formats |
//! | `segment` | the TCP segment in a frame |
//! | `other` | what a frame is that has no TCP segment |

mod other;
mod pcap;
mod pcapng;
mod segment;

pub(super) use other::Other;
pub(super) use segment::{Link, Segment};

use super::Unreadable;
use pcap_file::{DataLink, PcapError};
use std::collections::BTreeMap;
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

/// How the records of a file end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With the last byte of the file.
    Whole,
    /// Within a record, as when a capture is stopped by force.
    Cut,
    /// With a record that cannot be right; what follows it cannot be found.
    Corrupt(String),
}

/// What is known of a file after its last record.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) end: End,
    /// Frames of interfaces whose link type is not read, by link type.
    pub(super) unknown: BTreeMap<u32, u64>,
}

/// Is this the beginning of a capture?
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

/// Gives every frame to `see`.
///
/// # Errors
/// When the file is no capture, has frames of unknown link types alone, or cannot be read, and those of `see`.
pub(super) fn frames(
    file: impl Read,
    beginning: &[u8],
    see: impl FnMut(Frame<'_>) -> Result<(), Unreadable>,
) -> Result<Seen, Unreadable> {
    if is_pcapng(beginning) {
        pcapng::frames(file, see)
    } else {
        pcap::frames(file, see)
    }
}

/// Reads until `buffer` is full or the file ends; returns how many bytes there were.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> Result<usize, Unreadable> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Unreadable::Io(error)),
        }
    }
    Ok(length)
}

fn broken(error: PcapError) -> Unreadable {
    Unreadable::NoCapture(match error {
        PcapError::IncompleteBuffer => "it is cut off in its first header".to_owned(),
        other => other.to_string(),
    })
}

/// The link layer of a link type field. Its upper half says how long the frame check sequence is: whether there is one or not, the
/// length in the IP header says where the packet ends.
fn link(field: u32) -> Option<Link> {
    Link::of(DataLink::from(field & 0xffff))
}
