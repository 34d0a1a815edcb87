//! All connections of a capture.

use super::capture::Segment;
use super::talk::Talk;
use super::{Choice, EVENTS_MAX, SENT_MAX, Unreadable};
use hangup_scenario::file::bounds::CLIENTS_MAX;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// So many connections are told apart.
const TOLD_APART_MAX: usize = 1_000_000;

/// Two ends, the lower first.
type Ends = (SocketAddr, SocketAddr);

/// What is kept of a connection.
enum Kept {
    /// All of it, in this place of the list.
    Whole(usize),
    /// It was not asked for. The number of its SYN, to see where the next between the same ends begins.
    Nothing { syn: Option<u32> },
    /// An ICMP error quoted it, by which it has this number.
    Quoted(u64),
}

/// All connections of a capture.
pub(super) struct Talks<'a> {
    choice: &'a Choice,
    /// The last between each two ends.
    current: BTreeMap<Ends, Kept>,
    list: Vec<Talk>,
    opened: u64,
    sent: u64,
    events: usize,
    first: Option<Duration>,
    end: Duration,
}

impl<'a> Talks<'a> {
    pub(super) fn new(choice: &'a Choice) -> Self {
        Self {
            choice,
            current: BTreeMap::new(),
            list: Vec::new(),
            opened: 0,
            sent: 0,
            events: 0,
            first: None,
            end: Duration::ZERO,
        }
    }

    /// How many connections there are in the capture.
    pub(super) fn opened(&self) -> u64 {
        self.opened
    }

    /// Takes the next segment.
    pub(super) fn take(&mut self, at: Duration, segment: &Segment<'_>) -> Result<(), Unreadable> {
        let start = *self.first.get_or_insert(at);
        let at = at.saturating_sub(start);
        self.end = self.end.max(at);
        let (source, destination) = (segment.source, segment.destination);
        let ends = (source.min(destination), source.max(destination));
        let opens = segment.syn && segment.acknowledgement.is_none();
        let known = match self.current.get(&ends) {
            Some(Kept::Whole(index)) => !self.list[*index].is_over_before(segment),
            Some(Kept::Nothing { syn }) => !opens || *syn == Some(segment.sequence),
            Some(Kept::Quoted(_)) | None => false,
        };
        if !known {
            self.open(at, ends, opens, segment)?;
        }
        let Some(Kept::Whole(index)) = self.current.get(&ends) else {
            return Ok(());
        };
        let talk = &mut self.list[*index];
        let before = (talk.sent.len(), talk.events.len());
        talk.take(at, segment);
        self.sent = (self.sent + talk.sent.len() as u64).saturating_sub(before.0 as u64);
        self.events = (self.events + talk.events.len()).saturating_sub(before.1);
        if self.sent > SENT_MAX {
            return Err(Unreadable::TooMuch(format!(
                "more than {SENT_MAX} bytes of clients"
            )));
        }
        if self.events > EVENTS_MAX {
            return Err(Unreadable::TooMuch(format!(
                "more than {EVENTS_MAX} events"
            )));
        }
        Ok(())
    }

    /// An ICMP error quotes a segment between these two. Wireshark counts the connection of a quote if it has not seen it, and so its number is taken.
    pub(super) fn quoted(&mut self, one: SocketAddr, other: SocketAddr) {
        let ends = (one.min(other), one.max(other));
        if !self.current.contains_key(&ends) && self.current.len() < TOLD_APART_MAX {
            self.opened += 1;
            self.current.insert(ends, Kept::Quoted(self.opened));
        }
    }

    fn open(
        &mut self,
        at: Duration,
        ends: Ends,
        opens: bool,
        segment: &Segment<'_>,
    ) -> Result<(), Unreadable> {
        let number = match self.current.get(&ends) {
            Some(Kept::Quoted(number)) if !opens => *number,
            _ => self.opened + 1,
        };
        self.opened = self.opened.max(number);
        let client = self.client(segment);
        let server = if client == ends.0 { ends.1 } else { ends.0 };
        let Choice {
            connection, port, ..
        } = self.choice;
        let asked = connection.is_none_or(|asked| asked == number)
            && port.is_none_or(|port| server.port() == port);
        let kept = if asked {
            if self.list.len() as u64 == CLIENTS_MAX {
                return Err(Unreadable::TooMuch(format!(
                    "more than {CLIENTS_MAX} connections"
                )));
            }
            self.list.push(Talk::new(number, client, at));
            Kept::Whole(self.list.len() - 1)
        } else {
            if self.current.len() == TOLD_APART_MAX {
                return Err(Unreadable::TooMuch(format!(
                    "more than {TOLD_APART_MAX} pairs of addresses"
                )));
            }
            let syn = opens.then_some(segment.sequence);
            Kept::Nothing { syn }
        };
        self.current.insert(ends, kept);
        Ok(())
    }

    /// Who of the two is the client, as far as the first packet tells.
    fn client(&self, segment: &Segment<'_>) -> SocketAddr {
        let (source, destination) = (segment.source, segment.destination);
        let from_client = match self.choice.port {
            Some(port) if destination.port() == port => true,
            Some(port) if source.port() == port => false,
            _ if segment.syn => segment.acknowledgement.is_none(),
            _ if segment.payload.starts_with(b"HTTP/1.") => false,
            // Servers have the lower port, mostly.
            _ => source.port() >= destination.port(),
        };
        if from_client { source } else { destination }
    }

    /// Those that were asked for; the capture is over.
    pub(super) fn finish(mut self) -> Vec<Talk> {
        for talk in &mut self.list {
            talk.finish(self.end);
        }
        self.list
    }
}
