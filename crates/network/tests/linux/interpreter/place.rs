//! One end of a connection, and what is pending on it.

use super::Connecting;
use super::bell::Bell;
use super::net::{OwnedReadHalf, OwnedWriteHalf, TcpStream};
use super::reading::Reading;
use super::writing::Writing;
use crate::script::HUGE;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

/// One end of a connection, with the operations that are pending on it and the step that began them.
#[derive(Default)]
pub(super) struct Place {
    pub(super) connecting: Option<(usize, Connecting)>,
    pub(super) hold: Hold,
    pub(super) reading: Option<(usize, Reading)>,
    pub(super) writing: Option<(usize, Writing)>,
    /// Of connecting, reading and writing.
    pub(super) bells: [Arc<Bell>; 3],
    /// Bytes taken from the stream so far, to check their pattern.
    pub(super) taken: usize,
    /// Bytes written so far.
    pub(super) given: usize,
    /// Its own address and its peer's, as long as the script lasts.
    pub(super) ends: Option<(SocketAddr, SocketAddr)>,
}

#[derive(Default)]
pub(super) enum Hold {
    #[default]
    Nothing,
    Whole(TcpStream),
    Halves(Option<OwnedReadHalf>, Option<OwnedWriteHalf>),
}

impl Place {
    /// The stream that the operations are on is another one than before.
    pub(super) fn ring(&self) {
        self.bells.iter().for_each(|bell| bell.ring());
    }

    /// From now on it holds this stream.
    pub(super) fn take(&mut self, stream: TcpStream) {
        self.ends = stream.local_addr().ok().zip(stream.peer_addr().ok());
        self.hold = Hold::Whole(stream);
    }

    /// The stream, whole or by one of its halves.
    pub(super) fn stream(&self) -> Option<&TcpStream> {
        match &self.hold {
            Hold::Whole(stream) => Some(stream),
            Hold::Halves(Some(half), _) => Some(half.as_ref()),
            Hold::Halves(None, Some(half)) => Some(half.as_ref()),
            _ => None,
        }
    }

    pub(super) fn let_go(&mut self) {
        self.hold = Hold::Nothing;
        self.reading = None;
        self.writing = None;
    }

    /// Whether the bytes are those that were written, in their order.
    pub(super) fn check(&mut self, bytes: &[u8], from: usize, take: bool) -> &'static str {
        let right = bytes == pattern(from, self.taken, bytes.len());
        if take {
            self.taken += bytes.len();
        }
        if right { "" } else { " WRONG BYTES" }
    }
}

/// The most that one call writes or reads.
pub(super) const PIECE: usize = 100_000;
/// After how many bytes the pattern begins again. It is prime, so that no piece of a round size hides a shift.
const PERIOD: usize = 251;

/// What the client (0) or the server (1) writes from its `start`th byte on.
pub(super) fn pattern(from: usize, start: usize, len: usize) -> &'static [u8] {
    static PATTERNS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
        [0, 0x55].map(|mask| {
            (0..PIECE + PERIOD)
                .map(|n| (n % PERIOD) as u8 ^ mask)
                .collect()
        })
    });
    &PATTERNS[from][start % PERIOD..][..len]
}

/// Counts of a script whose data does not fit into the buffers depend on how Linux sizes its buffers; what matters is whether
/// there was any.
pub(super) fn count(n: usize) -> String {
    match n {
        // All that one operation was to write.
        ..5000 | 2_000_000 | HUGE | 200_001 | 4_000_001 => n.to_string(),
        _ => String::from("some"),
    }
}

pub(super) fn outcome(result: io::Result<usize>) -> String {
    match result {
        Ok(n) => format!("Ok({})", count(n)),
        Err(error) => format!("{:?}", error.kind()),
    }
}

/// `bytes` in three pieces, the middle one empty.
pub(super) fn pieces(bytes: &[u8]) -> [IoSlice<'_>; 3] {
    let (one, other) = bytes.split_at(bytes.len() / 3);
    [IoSlice::new(one), IoSlice::new(&[]), IoSlice::new(other)]
}
