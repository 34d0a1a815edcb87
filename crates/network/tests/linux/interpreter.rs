//! Runs a script on one kind of sockets. This file is compiled twice: `super::net` is `tokio::net` in one, the model in
//! the other. Nothing else differs.

use super::net::{OwnedReadHalf, OwnedWriteHalf, TcpListener, TcpStream, connect, listen};
use crate::script::{CLIENTS, Class, DELAY, End, Op, Script};
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::LazyLock;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::time::Instant;

/// What each operation came to, in the order of the script.
///
/// An operation that blocks stays pending, and the step at which it wakes is part of its outcome. After each operation
/// the script waits for `pause`, in which everything that can happen does; or, if it is timed, until the next one's time.
pub(crate) async fn interpret(script: &Script, place: Address, pause: Duration) -> Vec<String> {
    let mut run = Run {
        place,
        backlog: script.backlog,
        class: script.class,
        listener: listen(place.listen, script.backlog, script.class)
            .await
            .ok(),
        accepting: None,
        accepted: 0,
        accepted_now: false,
        places: std::array::from_fn(|_| Place::default()),
        outcomes: vec![String::from("-"); script.ops.len()],
    };
    let start = Instant::now();
    for (step, &op) in script.ops.iter().enumerate() {
        if script.class == Class::Timed {
            // What is left from the steps before wakes in the step before this one.
            run.pass(
                step.saturating_sub(1),
                start + Duration::from_millis(script.at[step]),
                Duration::ZERO,
            )
            .await;
        }
        run.start(step, op).await;
        run.pass(step, Instant::now() + pause, pause).await;
    }
    if script.class == Class::Timed {
        // What is under way still arrives, and what it causes.
        let last = script.ops.len().saturating_sub(1);
        run.pass(
            last,
            Instant::now() + Duration::from_millis(5 * DELAY),
            Duration::ZERO,
        )
        .await;
    }
    run.outcomes
}

/// Where a script's server is.
#[derive(Clone, Copy)]
pub(crate) struct Address {
    pub(crate) listen: SocketAddr,
    pub(crate) connect: SocketAddr,
}

/// How long tokio's driver gets to hear of a new socket.
const TURN: Duration = Duration::from_millis(2);

type Connecting = Pin<Box<dyn Future<Output = io::Result<TcpStream>>>>;

struct Run {
    place: Address,
    backlog: u32,
    class: Class,
    listener: Option<TcpListener>,
    accepting: Option<usize>,
    accepted: usize,
    accepted_now: bool,
    places: [Place; 2 * CLIENTS],
    outcomes: Vec<String>,
}

/// One end of a connection, with the operations that are pending on it and the step that began them.
#[derive(Default)]
struct Place {
    connecting: Option<(usize, Connecting)>,
    hold: Hold,
    reading: Option<(usize, Reading)>,
    writing: Option<(usize, Writing)>,
    /// Bytes taken from the stream so far, to check their pattern.
    taken: usize,
    /// Bytes written so far.
    given: usize,
}

#[derive(Default)]
enum Hold {
    #[default]
    Nothing,
    Whole(TcpStream),
    Halves(Option<OwnedReadHalf>, Option<OwnedWriteHalf>),
}

enum Reading {
    Once(usize),
    Exact { most: usize, got: usize },
    Drain { chunk: usize, got: usize },
    Peek(usize),
    Try(usize),
}

enum Writing {
    Once(usize),
    All { most: usize, done: usize },
    Try(usize),
}

/// The most that one call writes or reads.
const PIECE: usize = 100_000;
/// After how many bytes the pattern begins again. It is prime, so that no piece of a round size hides a shift.
const PERIOD: usize = 251;

/// What the client (0) or the server (1) writes from its `start`th byte on.
fn pattern(from: usize, start: usize, len: usize) -> &'static [u8] {
    static PATTERNS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
        [0, 0x55].map(|mask| {
            (0..PIECE + PERIOD)
                .map(|n| (n % PERIOD) as u8 ^ mask)
                .collect()
        })
    });
    &PATTERNS[from][start % PERIOD..][..len]
}

impl Run {
    async fn start(&mut self, step: usize, op: Op) {
        match op {
            Op::Connect(n) => self.connect(step, n, self.place.connect),
            Op::ConnectClosedPort(n) => {
                let mut address = self.place.connect;
                address.set_port(9);
                self.connect(step, n, address);
            }
            Op::CancelConnect(n) => self.places[n].connecting = None,
            Op::Accept => self.accepting = Some(step),
            Op::CancelAccept => self.accepting = None,
            Op::DropListener => {
                self.listener = None;
                self.accepting = None;
            }
            Op::Listen => {
                let listener = listen(self.place.listen, self.backlog, self.class).await;
                self.outcomes[step] =
                    format!("{:?}", listener.as_ref().map(drop).map_err(io::Error::kind));
                if let Ok(listener) = listener {
                    self.listener = Some(listener);
                }
            }
            Op::Write(end, n) => self.places[end.index()].writing = Some((step, Writing::Once(n))),
            Op::WriteAll(end, most) => {
                self.places[end.index()].writing = Some((step, Writing::All { most, done: 0 }));
            }
            Op::WritableTry(end, n) => {
                self.places[end.index()].writing = Some((step, Writing::Try(n)))
            }
            Op::CancelWrite(end) => self.places[end.index()].writing = None,
            Op::Read(end, n) => self.places[end.index()].reading = Some((step, Reading::Once(n))),
            Op::ReadExact(end, most) => {
                self.places[end.index()].reading = Some((step, Reading::Exact { most, got: 0 }));
            }
            Op::Drain(end, chunk) => {
                self.places[end.index()].reading = Some((step, Reading::Drain { chunk, got: 0 }));
            }
            Op::Peek(end, n) => self.places[end.index()].reading = Some((step, Reading::Peek(n))),
            Op::ReadableTry(end, n) => {
                self.places[end.index()].reading = Some((step, Reading::Try(n)))
            }
            Op::CancelRead(end) => self.places[end.index()].reading = None,
            Op::TryWrite(end, _)
            | Op::TryRead(end, _)
            | Op::Shutdown(end)
            | Op::TakeError(end)
            | Op::PeerAddr(end)
            | Op::Drop(end)
            | Op::ZeroLinger(end)
            | Op::Reset(end)
            | Op::IntoSplit(end)
            | Op::Reunite(end)
            | Op::DropReadHalf(end)
            | Op::DropWriteHalf(end)
            | Op::ForgetWriteHalf(end) => {
                let from = matches!(end, End::Server(_)) as usize;
                if let Some(outcome) = self.places[end.index()].at_once(op, from).await {
                    self.outcomes[step] = outcome;
                }
            }
        }
    }

    fn connect(&mut self, step: usize, n: usize, address: SocketAddr) {
        // A client that has a stream, or is about to, keeps it.
        let place = &mut self.places[n];
        if place.connecting.is_none()
            && matches!(place.hold, Hold::Nothing)
            && place.taken + place.given == 0
        {
            place.connecting = Some((step, Box::pin(connect(address, self.class))));
        }
    }

    /// Polls what is pending whenever it wakes, until `deadline`, or for `pause` after something was accepted.
    async fn pass(&mut self, step: usize, mut deadline: Instant, pause: Duration) {
        loop {
            let mut sleep = pin!(tokio::time::sleep_until(deadline));
            poll_fn(|cx| {
                self.poll_pending(step, cx);
                if self.accepted_now {
                    Poll::Ready(())
                } else {
                    sleep.as_mut().poll(cx)
                }
            })
            .await;
            if !std::mem::take(&mut self.accepted_now) {
                return;
            }
            // What waited for the new stream has yet to begin.
            tokio::time::sleep(TURN).await;
            deadline = deadline.max(Instant::now() + pause);
        }
    }

    /// Polls everything that is pending, always in the same order.
    fn poll_pending(&mut self, step: usize, cx: &mut Context<'_>) {
        let at = |begun: usize| match step - begun {
            0 => String::new(),
            later => format!(" @+{later}"),
        };
        for place in &mut self.places {
            if let Some((begun, connecting)) = &mut place.connecting
                && let Poll::Ready(result) = connecting.as_mut().poll(cx)
            {
                let kind = result.as_ref().map(drop).map_err(io::Error::kind);
                self.outcomes[*begun] = format!("{kind:?}{}", at(*begun));
                place.connecting = None;
                place.hold = result.map_or(Hold::Nothing, Hold::Whole);
            }
        }
        for (index, place) in self.places.iter_mut().enumerate() {
            let from = usize::from(index >= CLIENTS);
            if let Some((begun, outcome)) = place.poll_reading(1 - from, cx) {
                self.outcomes[begun] = outcome + &at(begun);
            }
            if let Some((begun, outcome)) = place.poll_writing(from, cx) {
                self.outcomes[begun] = outcome + &at(begun);
            }
        }
        // Last, so that nothing touches the stream before the next turn of the loop: until tokio has heard of it from epoll
        // it takes the stream for ready, and a short read then hides for one turn that the peer is gone.
        if let (Some(begun), Some(listener)) = (self.accepting, &self.listener)
            && self.accepted < CLIENTS
            && let Poll::Ready(result) = listener.poll_accept(cx)
        {
            self.outcomes[begun] = format!(
                "{:?}{}",
                result.as_ref().map(drop).map_err(|e| e.kind()),
                at(begun)
            );
            self.accepting = None;
            if let Ok((stream, _)) = result {
                stream.set_nodelay(self.class == Class::Timed).ok();
                self.places[CLIENTS + self.accepted].hold = Hold::Whole(stream);
                self.accepted += 1;
                self.accepted_now = true;
            }
        }
    }
}

/// Counts of a script whose data does not fit into the buffers depend on how Linux sizes its buffers; what matters is whether
/// there was any.
fn count(n: usize) -> String {
    match n {
        5000..2_000_000 => String::from("some"),
        _ => n.to_string(),
    }
}

fn outcome(result: io::Result<usize>) -> String {
    match result {
        Ok(n) => format!("Ok({})", count(n)),
        Err(error) => format!("{:?}", error.kind()),
    }
}

impl Place {
    /// An operation that never waits.
    async fn at_once(&mut self, op: Op, from: usize) -> Option<String> {
        match op {
            Op::TryWrite(_, n) => {
                let bytes = pattern(from, self.given, n);
                let result = match &self.hold {
                    Hold::Whole(stream) => stream.try_write(bytes),
                    Hold::Halves(_, Some(half)) => half.try_write(bytes),
                    _ => return None,
                };
                self.given += result.as_ref().map_or(0, |&n| n);
                Some(outcome(result))
            }
            Op::TryRead(_, n) => {
                let mut buf = vec![0; n];
                let result = match &self.hold {
                    Hold::Whole(stream) => stream.try_read(&mut buf),
                    Hold::Halves(Some(half), _) => half.try_read(&mut buf),
                    _ => return None,
                };
                let text = match &result {
                    Ok(n) => self.check(&buf[..*n], 1 - from, true),
                    Err(_) => "",
                };
                Some(outcome(result) + text)
            }
            Op::Shutdown(_) => {
                let result = match &mut self.hold {
                    Hold::Whole(stream) => {
                        poll_fn(|cx| Pin::new(&mut *stream).poll_shutdown(cx)).await
                    }
                    Hold::Halves(_, Some(half)) => {
                        poll_fn(|cx| Pin::new(&mut *half).poll_shutdown(cx)).await
                    }
                    _ => return None,
                };
                Some(outcome(result.map(|()| 0)))
            }
            Op::TakeError(_) => match &self.hold {
                Hold::Whole(stream) => {
                    let error = stream
                        .take_error()
                        .map(|error| error.map(|error| error.kind()));
                    Some(format!("{error:?}"))
                }
                _ => None,
            },
            Op::PeerAddr(_) => {
                let address = match &self.hold {
                    Hold::Whole(stream) => stream.peer_addr(),
                    Hold::Halves(Some(half), _) => half.peer_addr(),
                    Hold::Halves(_, Some(half)) => half.peer_addr(),
                    _ => return None,
                };
                Some(format!(
                    "{:?}",
                    address.map(drop).map_err(|error| error.kind())
                ))
            }
            Op::Drop(_) => {
                self.let_go();
                None
            }
            Op::ZeroLinger(_) | Op::Reset(_) => {
                let set = match &self.hold {
                    Hold::Whole(stream) => stream.set_zero_linger().map_err(|error| error.kind()),
                    _ => return None,
                };
                if matches!(op, Op::Reset(_)) {
                    self.let_go();
                }
                Some(format!("{set:?}"))
            }
            Op::IntoSplit(_) => {
                self.hold = match std::mem::take(&mut self.hold) {
                    Hold::Whole(stream) => {
                        let (read, write) = stream.into_split();
                        Hold::Halves(Some(read), Some(write))
                    }
                    other => other,
                };
                None
            }
            Op::Reunite(_) => {
                self.hold = match std::mem::take(&mut self.hold) {
                    Hold::Halves(Some(read), Some(write)) => {
                        Hold::Whole(read.reunite(write).expect("halves of one stream"))
                    }
                    other => other,
                };
                None
            }
            Op::DropReadHalf(_) => {
                if let Hold::Halves(read, _) = &mut self.hold {
                    *read = None;
                    self.reading = None;
                }
                None
            }
            Op::DropWriteHalf(_) | Op::ForgetWriteHalf(_) => {
                if let Hold::Halves(_, write) = &mut self.hold {
                    match (write.take(), op) {
                        (Some(write), Op::ForgetWriteHalf(_)) => write.forget(),
                        (write, _) => drop(write),
                    }
                    self.writing = None;
                }
                None
            }
            _ => None,
        }
    }

    fn let_go(&mut self) {
        self.hold = Hold::Nothing;
        self.reading = None;
        self.writing = None;
    }

    /// Whether the bytes are those that were written, in their order.
    fn check(&mut self, bytes: &[u8], from: usize, take: bool) -> &'static str {
        let right = bytes == pattern(from, self.taken, bytes.len());
        if take {
            self.taken += bytes.len();
        }
        if right { "" } else { " WRONG BYTES" }
    }

    /// One read; how much, and whether the bytes were right.
    fn poll_read(
        &mut self,
        most: usize,
        from: usize,
        cx: &mut Context<'_>,
    ) -> Poll<(io::Result<usize>, &'static str)> {
        let mut bytes = vec![0; most];
        let mut buf = ReadBuf::new(&mut bytes);
        let result = match &mut self.hold {
            Hold::Whole(stream) => ready!(Pin::new(stream).poll_read(cx, &mut buf)),
            Hold::Halves(Some(half), _) => ready!(Pin::new(half).poll_read(cx, &mut buf)),
            _ => return Poll::Pending,
        };
        let filled = buf.filled().len();
        let text = self.check(&bytes[..filled], from, true);
        Poll::Ready((result.map(|()| filled), text))
    }

    fn poll_peek(&mut self, most: usize, from: usize, cx: &mut Context<'_>) -> Poll<String> {
        let mut bytes = vec![0; most];
        let mut buf = ReadBuf::new(&mut bytes);
        let result = match &mut self.hold {
            Hold::Whole(stream) => ready!(stream.poll_peek(cx, &mut buf)),
            Hold::Halves(Some(half), _) => ready!(half.poll_peek(cx, &mut buf)),
            _ => return Poll::Pending,
        };
        let filled = buf.filled().len();
        let text = self.check(&bytes[..filled], from, false);
        Poll::Ready(outcome(result) + text)
    }

    fn poll_reading(&mut self, from: usize, cx: &mut Context<'_>) -> Option<(usize, String)> {
        let (begun, mut reading) = self.reading.take()?;
        loop {
            let text = match &mut reading {
                Reading::Once(n) => self
                    .poll_read(*n, from, cx)
                    .map(|(result, text)| Some(outcome(result) + text)),
                Reading::Peek(n) => self.poll_peek(*n, from, cx).map(Some),
                Reading::Exact { most, got } => self
                    .poll_read((*most - *got).min(PIECE), from, cx)
                    .map(|(result, text)| match result {
                        Ok(n) if *got + n < *most && n > 0 => {
                            *got += n;
                            None
                        }
                        Ok(n) => Some(format!("Ok({}){text}", count(*got + n))),
                        Err(error) => Some(format!("{} {:?}{text}", count(*got), error.kind())),
                    }),
                Reading::Drain { chunk, got } => {
                    self.poll_read(*chunk, from, cx)
                        .map(|(result, text)| match result {
                            Ok(0) => Some(format!("{} Eof{text}", count(*got))),
                            Ok(n) => {
                                *got += n;
                                None
                            }
                            Err(error) => Some(format!("{} {:?}{text}", count(*got), error.kind())),
                        })
                }
                Reading::Try(n) => self.poll_try_read(*n, from, cx).map(Some),
            };
            match text {
                Poll::Ready(Some(text)) => return Some((begun, text)),
                Poll::Ready(None) => {}
                Poll::Pending => {
                    self.reading = Some((begun, reading));
                    return None;
                }
            }
        }
    }

    fn poll_try_read(&mut self, most: usize, from: usize, cx: &mut Context<'_>) -> Poll<String> {
        let mut bytes = vec![0; most];
        loop {
            let result = match &self.hold {
                Hold::Whole(stream) => {
                    if let Err(error) = ready!(stream.poll_read_ready(cx)) {
                        return Poll::Ready(outcome(Err(error)));
                    }
                    stream.try_read(&mut bytes)
                }
                Hold::Halves(Some(half), _) => {
                    let mut ready = pin!(half.ready(Interest::READABLE));
                    if let Err(error) = ready!(ready.as_mut().poll(cx)) {
                        return Poll::Ready(outcome(Err(error)));
                    }
                    half.try_read(&mut bytes)
                }
                _ => return Poll::Pending,
            };
            match result {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => {
                    let filled = *result.as_ref().unwrap_or(&0);
                    let text = self.check(&bytes[..filled], from, true);
                    return Poll::Ready(outcome(result) + text);
                }
            }
        }
    }

    fn poll_write(
        &mut self,
        most: usize,
        from: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let bytes = pattern(from, self.given, most);
        let result = match &mut self.hold {
            Hold::Whole(stream) => ready!(Pin::new(stream).poll_write(cx, bytes)),
            Hold::Halves(_, Some(half)) => ready!(Pin::new(half).poll_write(cx, bytes)),
            _ => return Poll::Pending,
        };
        self.given += result.as_ref().map_or(0, |&n| n);
        Poll::Ready(result)
    }

    fn poll_writing(&mut self, from: usize, cx: &mut Context<'_>) -> Option<(usize, String)> {
        let (begun, mut writing) = self.writing.take()?;
        loop {
            let text = match &mut writing {
                Writing::Once(n) => self
                    .poll_write(*n, from, cx)
                    .map(|result| Some(outcome(result))),
                Writing::All { most, done } => {
                    let piece = (*most - *done).min(PIECE);
                    self.poll_write(piece, from, cx).map(|result| match result {
                        Ok(n) if *done + n < *most => {
                            *done += n;
                            None
                        }
                        Ok(n) => Some(format!("Ok({})", count(*done + n))),
                        Err(error) => Some(format!("{} {:?}", count(*done), error.kind())),
                    })
                }
                Writing::Try(n) => self.poll_try_write(*n, from, cx).map(Some),
            };
            match text {
                Poll::Ready(Some(text)) => return Some((begun, text)),
                Poll::Ready(None) => {}
                Poll::Pending => {
                    self.writing = Some((begun, writing));
                    return None;
                }
            }
        }
    }

    fn poll_try_write(&mut self, most: usize, from: usize, cx: &mut Context<'_>) -> Poll<String> {
        let bytes = pattern(from, self.given, most);
        loop {
            let result = match &self.hold {
                Hold::Whole(stream) => {
                    if let Err(error) = ready!(stream.poll_write_ready(cx)) {
                        return Poll::Ready(outcome(Err(error)));
                    }
                    stream.try_write(bytes)
                }
                Hold::Halves(_, Some(half)) => {
                    let mut ready = pin!(half.ready(Interest::WRITABLE));
                    if let Err(error) = ready!(ready.as_mut().poll(cx)) {
                        return Poll::Ready(outcome(Err(error)));
                    }
                    half.try_write(bytes)
                }
                _ => return Poll::Pending,
            };
            match result {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => {
                    self.given += result.as_ref().map_or(0, |&n| n);
                    return Poll::Ready(outcome(result));
                }
            }
        }
    }
}
