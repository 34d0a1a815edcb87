//! Runs a script on one kind of sockets. This file, and those in its folder, are compiled twice: `super::net` is `tokio::net` in
//! one, the model in the other. Nothing else differs.
//!
//! | module | what lives there |
//! |---|---|
//! | `bell` | who was woken |
//! | `place` | one end of a connection, and what is pending on it |
//! | `reading`, `writing` | operations that may wait |
//! | `at_once` | those that never do |

#[path = "interpreter/at_once.rs"]
mod at_once;
#[path = "interpreter/bell.rs"]
mod bell;
#[path = "interpreter/place.rs"]
mod place;
#[path = "interpreter/reading.rs"]
mod reading;
#[path = "interpreter/writing.rs"]
mod writing;

use super::net;
use crate::script::{CLIENTS, Class, DELAY, End, Heard, Luck, Op, Script};
use net::{TcpListener, TcpStream, connect, connect_lost, listen, lose, luck, patient};
use place::{Hold, Place};
use reading::Reading;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;
use writing::Writing;

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
            true => net::PATIENCE + MARGIN * pause,
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

/// Who waits for a host to give up waits for so many pauses more.
const MARGIN: u32 = 10;

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
            | Op::Ready(end)
            | Op::Shutdown(end)
            | Op::TakeError(end)
            | Op::PeerAddr(end)
            | Op::LocalAddr(end)
            | Op::Netstat(end)
            | Op::LowWater(end, _)
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
                if let Ok(stream) = result {
                    place.take(stream);
                }
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
                place.take(stream);
                place.ring();
                self.accepted += 1;
                self.accepted_now = true;
            }
        }
    }
}

/// What came of a poll, if it is over.
fn ready<T>(poll: Poll<T>) -> Option<T> {
    match poll {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}
