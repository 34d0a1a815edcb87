//! Runs a script on one kind of sockets. This file is compiled twice: `super::net` is `tokio::net` in one, the model in
//! the other. Nothing else differs.

use super::net::{
    OwnedReadHalf, OwnedWriteHalf, PATIENCE, TcpListener, TcpStream, connect, connect_lost, listen,
    lose, luck, patient, set_linger,
};
use crate::script::{CLIENTS, Class, DELAY, End, Heard, Luck, Op, Script};
use bytes::BufMut;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
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
        lost: false,
        heard: Heard::All,
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
        if script.class == Class::Hasty {
            run.hurry(step, luck(script, step)).await;
            if step + 1 < script.ops.len() {
                continue;
            }
            // What is under way at the end arrives.
        }
        let pause = match run.lost {
            true => pause + PATIENCE,
            false => pause,
        };
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
    /// Some host is gone, and whoever waits for it gives up after each operation.
    lost: bool,
    /// What is polled now.
    heard: Heard,
    places: [Place; 2 * CLIENTS],
    outcomes: Vec<String>,
}

/// Wakes the script, and notes for whom: an operation is polled only when it was woken itself. So each has a task of its
/// own as far as a socket can tell, the two halves of a stream among them.
#[derive(Default)]
struct Bell {
    rung: AtomicBool,
    script: Mutex<Option<Waker>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.store(true, Ordering::Relaxed);
        let script = self.script.lock().unwrap().take();
        script.into_iter().for_each(Waker::wake);
    }
}

impl Bell {
    /// Something changed that no socket wakes for.
    fn ring(&self) {
        self.rung.store(true, Ordering::Relaxed);
    }

    /// Polls if it was rung since the last time.
    fn poll<T>(
        self: &Arc<Self>,
        cx: &Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Option<T>,
    ) -> Option<T> {
        *self.script.lock().unwrap() = Some(cx.waker().clone());
        if !self.rung.swap(false, Ordering::Relaxed) {
            return None;
        }
        poll(&mut Context::from_waker(&Waker::from(self.clone())))
    }
}

/// One end of a connection, with the operations that are pending on it and the step that began them.
#[derive(Default)]
struct Place {
    connecting: Option<(usize, Connecting)>,
    hold: Hold,
    reading: Option<(usize, Reading)>,
    writing: Option<(usize, Writing)>,
    /// Of connecting, reading and writing.
    bells: [Arc<Bell>; 3],
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
    Borrowed(usize),
    Exact { most: usize, got: usize },
    Drain { chunk: usize, got: usize },
    Peek(usize),
    Try(usize),
}

enum Writing {
    Once(usize),
    Vectored(usize),
    Borrowed(usize),
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
            Op::ConnectLost(n) => {
                let mut address = self.place.connect;
                address.set_port(7);
                let class = self.class;
                self.lost = true;
                self.connect_by(step, n, || Box::pin(connect_lost(address, class)));
            }
            Op::Lose => {
                // Who has no stream any more cannot be cut off.
                if let (Some(client), Some(server)) =
                    (self.places[0].stream(), self.places[CLIENTS].stream())
                {
                    lose(client, server);
                    self.lost = true;
                }
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
            Op::Write(end, n) => self.write(step, end, Writing::Once(n)),
            Op::WriteVectored(end, n) => self.write(step, end, Writing::Vectored(n)),
            Op::WriteBorrowed(end, n) => self.write(step, end, Writing::Borrowed(n)),
            Op::WriteAll(end, most) => self.write(step, end, Writing::All { most, done: 0 }),
            Op::WritableTry(end, n) => self.write(step, end, Writing::Try(n)),
            Op::CancelWrite(end) => self.places[end.index()].writing = None,
            Op::Read(end, n) => self.read(step, end, Reading::Once(n)),
            Op::ReadBorrowed(end, n) => self.read(step, end, Reading::Borrowed(n)),
            Op::ReadExact(end, most) => self.read(step, end, Reading::Exact { most, got: 0 }),
            Op::Drain(end, chunk) => self.read(step, end, Reading::Drain { chunk, got: 0 }),
            Op::Peek(end, n) => self.read(step, end, Reading::Peek(n)),
            Op::ReadableTry(end, n) => self.read(step, end, Reading::Try(n)),
            Op::CancelRead(end) => self.places[end.index()].reading = None,
            Op::TryWrite(end, _)
            | Op::TryWriteVectored(end, _)
            | Op::TryRead(end, _)
            | Op::TryReadVectored(end, _)
            | Op::TryReadBuf(end, _)
            | Op::Shutdown(end)
            | Op::TakeError(end)
            | Op::PeerAddr(end)
            | Op::LocalAddr(end)
            | Op::Options(end)
            | Op::Drop(end)
            | Op::ZeroLinger(end)
            | Op::NoLinger(end)
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

    fn read(&mut self, step: usize, end: End, reading: Reading) {
        let place = &mut self.places[end.index()];
        place.reading = Some((step, reading));
        place.bells[1].ring();
    }

    fn write(&mut self, step: usize, end: End, writing: Writing) {
        let place = &mut self.places[end.index()];
        place.writing = Some((step, writing));
        place.bells[2].ring();
    }

    fn connect(&mut self, step: usize, n: usize, address: SocketAddr) {
        let class = self.class;
        self.connect_by(step, n, || Box::pin(connect(address, class)));
    }

    fn connect_by(&mut self, step: usize, n: usize, connecting: impl FnOnce() -> Connecting) {
        // A client that has a stream, or is about to, keeps it.
        let place = &mut self.places[n];
        if place.connecting.is_none()
            && matches!(place.hold, Hold::Nothing)
            && place.taken + place.given == 0
        {
            place.connecting = Some((step, connecting()));
            place.bells[0].ring();
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

    /// Goes on at once, as far as luck has it.
    async fn hurry(&mut self, step: usize, luck: Luck) {
        self.heard = luck.heard;
        self.poll_now(step).await;
        self.heard = Heard::All;
        if luck.busy > 0 {
            tokio::time::sleep(Duration::from_millis(luck.busy)).await;
        }
        if luck.turn {
            self.poll_now(step).await;
        }
    }

    /// Polls what is pending and was woken, once.
    async fn poll_now(&mut self, step: usize) {
        poll_fn(|cx| {
            self.poll_pending(step, cx);
            Poll::Ready(())
        })
        .await;
        if std::mem::take(&mut self.accepted_now) {
            tokio::time::sleep(TURN).await;
        }
    }

    /// Polls everything that is pending, always in the same order.
    fn poll_pending(&mut self, step: usize, cx: &mut Context<'_>) {
        let at = |begun: usize| match step - begun {
            0 => String::new(),
            later => format!(" @+{later}"),
        };
        let heard = self.heard;
        for place in &mut self.places {
            if let Some((begun, connecting)) = &mut place.connecting
                && (heard == Heard::All || *begun == step)
                && let Some(result) =
                    place.bells[0].poll(cx, |cx| ready(connecting.as_mut().poll(cx)))
            {
                let kind = result.as_ref().map(drop).map_err(io::Error::kind);
                self.outcomes[*begun] = format!("{kind:?}{}", at(*begun));
                place.connecting = None;
                place.hold = result.map_or(Hold::Nothing, Hold::Whole);
                place.ring();
            }
        }
        for (index, place) in self.places.iter_mut().enumerate() {
            let from = usize::from(index >= CLIENTS);
            let [_, read, write] = place.bells.clone();
            let hears = |begun: Option<usize>| match heard {
                Heard::All => true,
                Heard::New => begun == Some(step),
                Heard::Connect => false,
            };
            if hears(place.reading.as_ref().map(|(begun, _)| *begun))
                && let Some((begun, outcome)) = read.poll(cx, |cx| place.poll_reading(1 - from, cx))
            {
                self.outcomes[begun] = outcome + &at(begun);
            }
            if hears(place.writing.as_ref().map(|(begun, _)| *begun))
                && let Some((begun, outcome)) = write.poll(cx, |cx| place.poll_writing(from, cx))
            {
                self.outcomes[begun] = outcome + &at(begun);
            }
        }
        // Last, so that nothing touches the stream before the next turn of the loop: until tokio has heard of it from epoll
        // it takes the stream for ready, and a short read then hides for one turn that the peer is gone.
        if let (Some(begun), Some(listener)) = (self.accepting, &self.listener)
            && self.accepted < CLIENTS
            && (heard == Heard::All || (heard == Heard::New && begun == step))
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
                patient(&stream, self.class);
                let place = &mut self.places[CLIENTS + self.accepted];
                place.hold = Hold::Whole(stream);
                place.ring();
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
        // All that one operation was to write.
        ..5000 | 2_000_000 => n.to_string(),
        _ => String::from("some"),
    }
}

fn outcome(result: io::Result<usize>) -> String {
    match result {
        Ok(n) => format!("Ok({})", count(n)),
        Err(error) => format!("{:?}", error.kind()),
    }
}

/// What came of a poll, if it is over.
fn ready<T>(poll: Poll<T>) -> Option<T> {
    match poll {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}

/// `bytes` in three pieces, the middle one empty.
fn pieces(bytes: &[u8]) -> [IoSlice<'_>; 3] {
    let (one, other) = bytes.split_at(bytes.len() / 3);
    [IoSlice::new(one), IoSlice::new(&[]), IoSlice::new(other)]
}

impl Place {
    /// The stream that the operations are on is another one than before.
    fn ring(&self) {
        self.bells.iter().for_each(|bell| bell.ring());
    }

    /// The stream, whole or by one of its halves.
    fn stream(&self) -> Option<&TcpStream> {
        match &self.hold {
            Hold::Whole(stream) => Some(stream),
            Hold::Halves(Some(half), _) => Some(half.as_ref()),
            Hold::Halves(None, Some(half)) => Some(half.as_ref()),
            _ => None,
        }
    }

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
            Op::TryWriteVectored(_, n) => {
                let bytes = pieces(pattern(from, self.given, n));
                let result = match &self.hold {
                    Hold::Whole(stream) => stream.try_write_vectored(&bytes),
                    Hold::Halves(_, Some(half)) => half.try_write_vectored(&bytes),
                    _ => return None,
                };
                self.given += result.as_ref().map_or(0, |&n| n);
                Some(outcome(result))
            }
            Op::TryReadVectored(_, n) => {
                let mut buf = vec![0; n];
                let (one, other) = buf.split_at_mut(n / 3);
                let mut parts = [
                    IoSliceMut::new(one),
                    IoSliceMut::new(&mut []),
                    IoSliceMut::new(other),
                ];
                let result = match &self.hold {
                    Hold::Whole(stream) => stream.try_read_vectored(&mut parts),
                    Hold::Halves(Some(half), _) => half.try_read_vectored(&mut parts),
                    _ => return None,
                };
                let filled = *result.as_ref().unwrap_or(&0);
                Some(outcome(result) + self.check(&buf[..filled], 1 - from, true))
            }
            Op::TryReadBuf(_, n) => {
                let mut buf = Vec::with_capacity(n);
                let mut room = (&mut buf).limit(n);
                let result = match &self.hold {
                    Hold::Whole(stream) => stream.try_read_buf(&mut room),
                    Hold::Halves(Some(half), _) => half.try_read_buf(&mut room),
                    _ => return None,
                };
                Some(outcome(result) + self.check(&buf, 1 - from, true))
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
            Op::LocalAddr(_) => {
                let stream = self.stream()?;
                let local = stream.local_addr().map_err(|error| error.kind());
                Some(format!(
                    "{:?}",
                    local.map(|local| local.ip().is_unspecified())
                ))
            }
            Op::Options(_) => {
                let Hold::Whole(stream) = &self.hold else {
                    return None;
                };
                let before = stream.nodelay();
                let set = stream.set_nodelay(!*before.as_ref().unwrap_or(&false));
                let after = (stream.nodelay(), stream.linger());
                // Nagle's waits are not what a timed script is about.
                stream.set_nodelay(*before.as_ref().unwrap_or(&false)).ok();
                Some(format!("{before:?} {set:?} {after:?}"))
            }
            Op::Drop(_) => {
                self.let_go();
                None
            }
            Op::NoLinger(_) => match &self.hold {
                Hold::Whole(stream) => {
                    let set = set_linger(stream, None).map_err(|error| error.kind());
                    Some(format!("{set:?}"))
                }
                _ => None,
            },
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
                self.ring();
                None
            }
            Op::Reunite(_) => {
                self.hold = match std::mem::take(&mut self.hold) {
                    Hold::Halves(Some(read), Some(write)) => {
                        Hold::Whole(read.reunite(write).expect("halves of one stream"))
                    }
                    other => other,
                };
                self.ring();
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

    /// As `poll_read`, by a half that lives for the call only.
    fn poll_borrowed_read(
        &mut self,
        most: usize,
        from: usize,
        cx: &mut Context<'_>,
    ) -> Poll<(io::Result<usize>, &'static str)> {
        let Hold::Whole(stream) = &mut self.hold else {
            return self.poll_read(most, from, cx);
        };
        let mut bytes = vec![0; most];
        let mut buf = ReadBuf::new(&mut bytes);
        let (mut half, _) = stream.split();
        let result = ready!(Pin::new(&mut half).poll_read(cx, &mut buf));
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
                Reading::Borrowed(n) => self
                    .poll_borrowed_read(*n, from, cx)
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
                    // A `ready` that is dropped between two polls is not woken.
                    if let Err(error) = ready!(half.as_ref().poll_read_ready(cx)) {
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

    fn poll_write_vectored(
        &mut self,
        most: usize,
        from: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let bytes = pieces(pattern(from, self.given, most));
        let result = match &mut self.hold {
            Hold::Whole(stream) => ready!(Pin::new(stream).poll_write_vectored(cx, &bytes)),
            Hold::Halves(_, Some(half)) => ready!(Pin::new(half).poll_write_vectored(cx, &bytes)),
            _ => return Poll::Pending,
        };
        self.given += result.as_ref().map_or(0, |&n| n);
        Poll::Ready(result)
    }

    /// As `poll_write`, by a half that lives for the call only.
    fn poll_borrowed_write(
        &mut self,
        most: usize,
        from: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let bytes = pattern(from, self.given, most);
        let Hold::Whole(stream) = &mut self.hold else {
            return self.poll_write(most, from, cx);
        };
        let (_, mut half) = stream.split();
        let result = ready!(Pin::new(&mut half).poll_write(cx, bytes));
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
                Writing::Vectored(n) => self
                    .poll_write_vectored(*n, from, cx)
                    .map(|result| Some(outcome(result))),
                Writing::Borrowed(n) => self
                    .poll_borrowed_write(*n, from, cx)
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
                    if let Err(error) = ready!(half.as_ref().poll_write_ready(cx)) {
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
