//! Drives the steps of one client, the same on every engine.
//!
//! Every step is legal in every state: on a connection that is not there it is an event in the timeline and nothing
//! else. Nothing waits for ever: a step that can block has a patience, after which the next step follows.

use crate::coverage::Action;
use crate::exchange::{Requests, Responses};
use crate::ledger::Opener;
use crate::report::wording;
use crate::trace::{lasts, record};
use crate::transport::{Dialer, Stream};
use hangup_scenario::render::Mark;
use hangup_scenario::{
    Addresses, Await, LinkChange, Piece, Read, Scenario, Send, Step, Trickle, Until,
};
use std::borrow::Cow;
use std::future::{Future, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::time::error::Elapsed;
use tokio::time::{sleep, timeout};

/// How long a client waits for a connection, as Linux does with its six SYN retries.
const CONNECT_PATIENCE: Duration = Duration::from_secs(127);
/// How long a client tries to get rid of the bytes of one `send`, or to finish one `read`: far longer than any
/// contract lets a silent connection live, so that what is judged is the server, and short enough that a run ends.
const MOVE_PATIENCE: Duration = Duration::from_secs(60 * 60);
/// The address of the first client that has its own: 10.16.0.1. The others follow.
const OWN_ADDRESSES: u32 = Ipv4Addr::new(10, 16, 0, 1).to_bits();
const READ_AT_ONCE: usize = 16 * 1024;

/// How a step came out, for the trace hash and the timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    /// The deadline of an `await`, or the patience of another step, passed first.
    InVain,
    /// There is no connection to do it on.
    Unconnected,
    Failed(io::ErrorKind),
}

impl Outcome {
    fn code(self) -> u64 {
        match self {
            Self::Done => 0,
            Self::InVain => 1,
            Self::Unconnected => 2,
            Self::Failed(io::ErrorKind::ConnectionReset) => 3,
            Self::Failed(io::ErrorKind::BrokenPipe) => 4,
            Self::Failed(io::ErrorKind::ConnectionRefused) => 5,
            Self::Failed(io::ErrorKind::TimedOut) => 6,
            Self::Failed(_) => 7,
        }
    }

    fn describe(self) -> Cow<'static, str> {
        match self {
            Self::Done => "".into(),
            Self::InVain => ": in vain".into(),
            Self::Unconnected => ": no connection".into(),
            Self::Failed(kind) => format!(": {kind}").into(),
        }
    }
}

impl From<io::Result<()>> for Outcome {
    fn from(result: io::Result<()>) -> Self {
        match result {
            Ok(()) => Self::Done,
            Err(error) => Self::Failed(error.kind()),
        }
    }
}

/// A client's connection, and what it has read on it.
struct Connected {
    stream: Stream,
    /// What it has sent, if any of that could be a HEAD: the response to one is framed by its request.
    requests: Option<Requests>,
    responses: Responses,
    /// How many status lines earlier `await`s have taken.
    taken: usize,
    /// Bytes read so far.
    read: u64,
    ended: bool,
    patience: Duration,
    /// It waits for responses, at some time; else nobody asks what was said.
    listens: bool,
}

/// One client of a run.
pub(crate) struct Client {
    scenario: Arc<Scenario>,
    /// Its entry in the scenario.
    entry: usize,
    number: u32,
    dialer: Dialer,
    connected: Option<Connected>,
    /// What its `network` steps came to; a new connection is on the same link.
    link: Vec<LinkChange>,
    /// The number of its last connection.
    connection: Option<u32>,
    /// What it writes.
    buffer: Vec<u8>,
    /// How long it tries to connect, and to finish one `send` or `read`.
    patience: Duration,
}

impl Client {
    /// The client with this number, which does the steps of `scenario.clients[entry]`.
    pub(crate) fn new(scenario: Arc<Scenario>, entry: usize, number: u32, dialer: Dialer) -> Self {
        Self {
            scenario,
            entry,
            number,
            dialer,
            connected: None,
            link: Vec::new(),
            connection: None,
            buffer: Vec::new(),
            patience: MOVE_PATIENCE,
        }
    }

    /// The same with this patience.
    fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Does all steps, and gives back what is still open.
    pub(crate) async fn run(mut self, delay: Duration) -> Option<Stream> {
        sleep(lasts(delay)).await;
        let scenario = Arc::clone(&self.scenario);
        for (index, step) in scenario.clients[self.entry].steps.iter().enumerate() {
            let outcome = self.step(step).await;
            let (number, connection) = (self.number, self.connection);
            record(|recorder| {
                recorder.step(
                    number,
                    connection,
                    (index as u64) << 8 | outcome.code(),
                    || format!("{}{}", wording::step(step), outcome.describe()),
                );
            });
        }
        self.connected.map(|connected| connected.stream)
    }

    async fn step(&mut self, step: &Step) -> Outcome {
        if let (Some(connected), Some(action)) = (&self.connected, Action::of(step)) {
            let connection = connected.stream.connection();
            record(|recorder| recorder.does(connection, action));
        }
        match step {
            Step::Connect => self.connect().await,
            Step::Reconnect { after } => {
                self.connected = None;
                sleep(lasts(*after)).await;
                self.connect().await
            }
            Step::Stall { duration } => {
                sleep(lasts(*duration)).await;
                Outcome::Done
            }
            Step::Send(send) => self.send(send).await,
            Step::Await(what) => match &mut self.connected {
                Some(connected) => connected.wait(what).await,
                None => Outcome::Unconnected,
            },
            Step::Read(what) => match &mut self.connected {
                Some(connected) => connected.read(what).await,
                None => Outcome::Unconnected,
            },
            Step::HalfClose => match &mut self.connected {
                Some(connected) => connected.stream.shutdown().await.into(),
                None => Outcome::Unconnected,
            },
            Step::Close => self.leave(drop),
            Step::Reset => self.leave(Stream::reset),
            Step::Vanish => self.leave(Stream::vanish),
            Step::Network(change) => self.network(change),
        }
    }

    fn leave(&mut self, how: impl FnOnce(Stream)) -> Outcome {
        match self.connected.take() {
            Some(connected) => {
                how(connected.stream);
                Outcome::Done
            }
            None => Outcome::Unconnected,
        }
    }

    fn network(&mut self, change: &LinkChange) -> Outcome {
        if change.heal {
            self.link.clear();
        }
        self.link.push(*change);
        if let Some(connected) = &self.connected {
            connected.stream.set_link(change);
        }
        Outcome::Done
    }

    /// The address that is this client's own; none where it shares one with others.
    fn address(&self) -> Option<IpAddr> {
        match self.scenario.clients[self.entry].addresses {
            Addresses::Shared => None,
            Addresses::Own => Some(IpAddr::V4(Ipv4Addr::from_bits(OWN_ADDRESSES + self.number))),
        }
    }

    async fn connect(&mut self) -> Outcome {
        if self.connected.is_some() {
            return Outcome::Done;
        }
        let connecting = pin!(self.dialer.connect(self.address()));
        match timeout(
            lasts(CONNECT_PATIENCE.min(self.patience)),
            opened_by(Opener::Client(self.number), connecting),
        )
        .await
        {
            Err(_) => Outcome::InVain,
            Ok(Err(error)) => Outcome::Failed(error.kind()),
            Ok(Ok(stream)) => {
                self.connection = Some(stream.connection());
                self.link.iter().for_each(|change| stream.set_link(change));
                let steps = &self.scenario.clients[self.entry].steps;
                let listens = steps.iter().any(waits_for_response);
                let requests = (listens && steps.iter().any(may_ask_for_head))
                    .then(Requests::without_contents);
                self.connected = Some(Connected::new(stream, self.patience, listens, requests));
                Outcome::Done
            }
        }
    }

    async fn send(&mut self, send: &Send) -> Outcome {
        let Some(connected) = &mut self.connected else {
            return Outcome::Unconnected;
        };
        self.buffer.clear();
        let mark = Mark::of(connected.stream.connection());
        send.render_marked(&mut self.buffer, mark);
        connected.send(&self.buffer, send.trickle.as_ref()).await
    }
}

/// Runs every client to its last step; what is still open stays open, in the hands of the caller.
pub(crate) async fn run_all(scenario: &Arc<Scenario>, dialer: Dialer) -> Vec<Stream> {
    run_patient(scenario, dialer, MOVE_PATIENCE).await
}

/// The same, with this patience for what can block.
pub(crate) async fn run_patient(
    scenario: &Arc<Scenario>,
    dialer: Dialer,
    patience: Duration,
) -> Vec<Stream> {
    let mut running = Vec::new();
    let mut number = 0;
    for (entry, client) in scenario.clients.iter().enumerate() {
        for copy in 0..client.count {
            let delay = client.start + client.stagger * copy;
            let client = Client::new(Arc::clone(scenario), entry, number, dialer);
            // In a box, since a task is moved some times before it is where it stays.
            running.push(tokio::spawn(Box::pin(client.patient(patience).run(delay))));
            number += 1;
        }
    }
    let mut open = Vec::new();
    for client in running {
        open.extend(
            client
                .await
                .expect("a client does not panic and is not cancelled"),
        );
    }
    open
}

fn waits_for_response(step: &Step) -> bool {
    matches!(step, Step::Await(what) if matches!(what.until, Until::Final | Until::Status(_)))
}

/// Bodies are filler, in which there is none.
fn may_ask_for_head(step: &Step) -> bool {
    let Step::Send(send) = step else { return false };
    send.what.iter().any(|piece| match piece {
        Piece::Head(head) => head.method.contains("HEAD") || head.target.contains("HEAD"),
        Piece::Bytes(_) => true,
        Piece::Body(_) | Piece::Chunk(_) | Piece::LastChunk => false,
    })
}

/// As tokio's `timeout` for so much of the run's time, for work that is most often done at once: then no timer is made.
async fn within<F: Future>(limit: Duration, work: F) -> Result<F::Output, Elapsed> {
    let mut work = pin!(work);
    match poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => timeout(lasts(limit), work).await,
    }
}

/// Lets the connect call that `connecting` makes be entered in the ledger as `opener`'s.
pub(crate) async fn opened_by<F: Future + Unpin>(opener: Opener, mut connecting: F) -> F::Output {
    poll_fn(|cx| {
        record(|recorder| recorder.ledger.opener(Some(opener)));
        let polled = Pin::new(&mut connecting).poll(cx);
        record(|recorder| recorder.ledger.opener(None));
        polled
    })
    .await
}

impl Connected {
    fn new(stream: Stream, patience: Duration, listens: bool, requests: Option<Requests>) -> Self {
        Self {
            patience,
            listens,
            stream,
            requests,
            responses: Responses::without_contents(),
            taken: 0,
            read: 0,
            ended: false,
        }
    }

    async fn send(&mut self, bytes: &[u8], trickle: Option<&Trickle>) -> Outcome {
        let (size, every) = match trickle {
            Some(trickle) => (trickle.size as usize, trickle.every),
            None => (bytes.len(), Duration::ZERO),
        };
        for piece in bytes.chunks(size.max(1)) {
            match within(self.patience, self.stream.write_all(piece)).await {
                Err(_) => return Outcome::InVain,
                Ok(Err(error)) => return Outcome::Failed(error.kind()),
                Ok(Ok(())) => {
                    if let Some(requests) = &mut self.requests {
                        requests.feed(Duration::ZERO, piece);
                    }
                }
            }
            if !every.is_zero() {
                sleep(lasts(every)).await;
            }
        }
        Outcome::Done
    }

    /// Reads once; false at the end of the stream.
    async fn read_some(&mut self, most: usize) -> io::Result<bool> {
        let most = most.clamp(1, READ_AT_ONCE);
        poll_fn(|cx| {
            let mut scratch = [const { MaybeUninit::uninit() }; READ_AT_ONCE];
            let mut buffer = ReadBuf::uninit(&mut scratch[..most]);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            self.hear(buffer.filled());
            Poll::Ready(Ok(!self.ended))
        })
        .await
    }

    /// Takes in what was read; nothing is the end.
    fn hear(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            self.ended = true;
            self.responses.end(Duration::ZERO);
        }
        if self.listens {
            self.responses
                .feed(Duration::ZERO, bytes, self.requests.as_ref());
        }
        self.read += bytes.len() as u64;
    }

    async fn wait(&mut self, what: &Await) -> Outcome {
        let from = self.read;
        let waiting = async {
            loop {
                if self.met(&what.until, from) {
                    return Outcome::Done;
                }
                match self.read_some(READ_AT_ONCE).await {
                    Ok(true) => {}
                    Ok(false) if self.met(&what.until, from) => return Outcome::Done,
                    Ok(false) => return Outcome::Failed(io::ErrorKind::UnexpectedEof),
                    Err(error) => return Outcome::Failed(error.kind()),
                }
            }
        };
        timeout(lasts(what.within), waiting)
            .await
            .unwrap_or(Outcome::InVain)
    }

    /// Has what is awaited come? What an `await` has taken no later one gets.
    fn met(&mut self, until: &Until, from: u64) -> bool {
        match until {
            Until::Eof => self.ended,
            Until::Bytes(count) => self.read - from >= *count,
            Until::Status(status) => {
                let rest = &self.responses.list[self.taken..];
                let found = rest.iter().position(|response| response.status == *status);
                if let Some(index) = found {
                    self.taken += index + 1;
                }
                found.is_some()
            }
            Until::Final => {
                let rest = &self.responses.list[self.taken..];
                let Some(index) = rest.iter().position(|response| response.is_final()) else {
                    return false;
                };
                let whole = rest[index].answers < self.responses.complete;
                if whole {
                    self.taken += index + 1;
                }
                whole
            }
        }
    }

    async fn read(&mut self, what: &Read) -> Outcome {
        let (bytes, pace) = match what {
            Read::Bytes(count) => (*count, None),
            Read::All => (u64::MAX, None),
            Read::Paced { bytes, pace } => (*bytes, Some(pace)),
        };
        let piece = pace.map_or(u64::MAX, |pace| pace.size.max(1));
        let mut left = bytes;
        while left > 0 {
            let most = left.min(piece);
            let patience = lasts(self.patience);
            match timeout(patience, self.read_up_to(most)).await {
                Err(_) => return Outcome::InVain,
                Ok(Err(error)) => return Outcome::Failed(error.kind()),
                Ok(Ok(read)) if read < most => return Outcome::Done,
                Ok(Ok(read)) => left -= read,
            }
            if let Some(pace) = pace {
                sleep(lasts(pace.every)).await;
            }
        }
        Outcome::Done
    }

    /// Reads this many bytes, or what there is until the stream ends; how many.
    async fn read_up_to(&mut self, bytes: u64) -> io::Result<u64> {
        let from = self.read;
        while self.read - from < bytes {
            let most = (bytes - (self.read - from)).min(READ_AT_ONCE as u64) as usize;
            if !self.read_some(most).await? {
                break;
            }
        }
        Ok(self.read - from)
    }
}
