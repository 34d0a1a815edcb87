//! What the two ends of a connection say to each other: each frame is one segment of a turmoil stream.

use std::net::Ipv4Addr;
use std::time::Duration;

/// Kind, departure, stretch, two numbers.
const HEADER: usize = 1 + 4 * 8;

/// When a frame is put on the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Departure {
    pub(super) at: Duration,
    /// How often the path had been changed by then, as far as its sender knows.
    pub(super) stretch: u64,
}

/// One segment of a connection, as TCP knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// The third segment of the handshake, with the connection's number, and its client's address where that is not the
    /// one of the clients' host.
    Hello { id: u32, from: Option<Ipv4Addr> },
    /// Payload. `ack` is what the sender had received when it sent it.
    Data { ack: u64, bytes: Vec<u8> },
    /// The end of the stream.
    Fin { ack: u64 },
    /// Everything before `next` has arrived, and what is before `limit` may come.
    Ack { next: u64, limit: u64 },
    /// Is valid where `sequence` is what comes next.
    Reset { sequence: u64 },
}

impl Frame {
    /// The bytes that travel.
    pub(super) fn encode(&self, departure: Departure) -> Vec<u8> {
        let (kind, one, two, payload): (u8, u64, u64, &[u8]) = match self {
            Self::Hello { id, from } => {
                let from = from.map_or(0, Ipv4Addr::to_bits);
                (0, u64::from(*id), u64::from(from), &[])
            }
            Self::Data { ack, bytes } => (1, *ack, 0, bytes),
            Self::Fin { ack } => (2, *ack, 0, &[]),
            Self::Ack { next, limit } => (3, *next, *limit, &[]),
            Self::Reset { sequence } => (4, *sequence, 0, &[]),
        };
        let mut bytes = Vec::with_capacity(HEADER + payload.len());
        bytes.push(kind);
        // 584 years of nanoseconds.
        bytes.extend((departure.at.as_nanos() as u64).to_le_bytes());
        bytes.extend(departure.stretch.to_le_bytes());
        bytes.extend(one.to_le_bytes());
        bytes.extend(two.to_le_bytes());
        bytes.extend(payload);
        bytes
    }

    /// The departure and the frame; `None` if the bytes are no frame.
    pub(super) fn decode(bytes: &[u8]) -> Option<(Departure, Self)> {
        let (header, payload) = bytes.split_at_checked(HEADER)?;
        let number = |at: usize| {
            header
                .get(at..at + 8)?
                .try_into()
                .ok()
                .map(u64::from_le_bytes)
        };
        let departure = Departure {
            at: Duration::from_nanos(number(1)?),
            stretch: number(9)?,
        };
        let (one, two) = (number(17)?, number(25)?);
        let frame = match header[0] {
            0 => Self::Hello {
                id: one.try_into().ok()?,
                from: match u32::try_from(two).ok()? {
                    0 => None,
                    bits => Some(Ipv4Addr::from_bits(bits)),
                },
            },
            1 => Self::Data {
                ack: one,
                bytes: payload.to_vec(),
            },
            2 => Self::Fin { ack: one },
            3 => Self::Ack {
                next: one,
                limit: two,
            },
            4 => Self::Reset { sequence: one },
            _ => return None,
        };
        Some((departure, frame))
    }

    /// The most bytes that a frame with so much payload has.
    pub(super) fn size(payload: usize) -> usize {
        HEADER + payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_back() {
        let departure = Departure {
            at: Duration::from_millis(1234),
            stretch: 3,
        };
        for frame in [
            Frame::Hello { id: 7, from: None },
            Frame::Hello {
                id: 8,
                from: Some(Ipv4Addr::new(10, 16, 0, 1)),
            },
            Frame::Data {
                ack: 1 << 40,
                bytes: b"hello".to_vec(),
            },
            Frame::Fin { ack: 3 },
            Frame::Ack {
                next: 5,
                limit: u64::MAX,
            },
            Frame::Reset { sequence: 9 },
        ] {
            assert_eq!(
                Frame::decode(&frame.encode(departure)),
                Some((departure, frame))
            );
        }
    }

    #[test]
    fn other_bytes_are_no_frame() {
        assert_eq!(Frame::decode(&[]), None);
        assert_eq!(Frame::decode(&[1; HEADER - 1]), None);
        assert_eq!(Frame::decode(&[9; HEADER]), None);
    }
}
