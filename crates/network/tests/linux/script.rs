//! Socket scripts: random lists of operations, each legal in every state, so that any deletion is again a script.

use std::fmt;

/// How many clients, and so how many connections, a script has at most.
pub(crate) const CLIENTS: usize = 3;

/// One end of a connection. Servers are numbered in the order in which they were accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Client(usize),
    Server(usize),
}

impl End {
    /// Its place among all ends.
    pub(crate) fn index(self) -> usize {
        match self {
            End::Client(n) => n,
            End::Server(n) => CLIENTS + n,
        }
    }
}

/// One operation. What cannot be done (a read of an end that does not exist) does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Connect(usize),
    ConnectClosedPort(usize),
    /// To a host that is gone.
    ConnectLost(usize),
    CancelConnect(usize),
    Accept,
    CancelAccept,
    DropListener,
    /// Listen again, at the same address.
    Listen,
    Write(End, usize),
    /// One write of so many bytes from several pieces.
    WriteVectored(End, usize),
    /// One write by a half that borrows the stream.
    WriteBorrowed(End, usize),
    WriteAll(End, usize),
    /// Wait until a write would not block, then try it.
    WritableTry(End, usize),
    TryWrite(End, usize),
    TryWriteVectored(End, usize),
    CancelWrite(End),
    Read(End, usize),
    /// One read by a half that borrows the stream.
    ReadBorrowed(End, usize),
    ReadExact(End, usize),
    /// Read to the end, at most this much at a time.
    Drain(End, usize),
    Peek(End, usize),
    /// Wait until a read would not block, then try it.
    ReadableTry(End, usize),
    TryRead(End, usize),
    TryReadVectored(End, usize),
    /// Into a buffer that grows.
    TryReadBuf(End, usize),
    CancelRead(End),
    /// What `ready` knows of the closed halves.
    Ready(End),
    Shutdown(End),
    TakeError(End),
    /// Whether the peer has an address still.
    PeerAddr(End),
    /// Whether its own address is where the peer thinks it is.
    LocalAddr(End),
    /// What the host's table of sockets shows of it, also when its application has closed it: the state, and the send queue.
    Netstat(End),
    /// Bound what is unsent (`TCP_NOTSENT_LOWAT`).
    LowWater(End, u32),
    /// Turn `TCP_NODELAY` over, and read it and `SO_LINGER` back.
    Options(End),
    Drop(End),
    ZeroLinger(End),
    /// No linger, whatever was set before.
    NoLinger(End),
    /// Zero linger and drop.
    Reset(End),
    IntoSplit(End),
    Reunite(End),
    DropReadHalf(End),
    DropWriteHalf(End),
    /// Drop the write half without shutting it down.
    ForgetWriteHalf(End),
    /// From now on nothing arrives at either end of the first connection.
    Lose,
}

/// How long a segment of a timed script travels, one way, in milliseconds.
pub(crate) const DELAY: u64 = 192;
/// What is further apart than this, in milliseconds, is told apart in real time.
const SLOT: u64 = 12;
const SLOTS: u64 = DELAY / SLOT;

/// What happens by luck after an operation of a hasty script. tokio hears of a socket's readiness when its driver has a turn,
/// and the driver does not between operations that follow each other at once: a call may find nothing where there is
/// something, and what is woken may be polled much later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Luck {
    /// Which operations are polled at first.
    pub(crate) heard: Heard,
    /// Then the network gets so many milliseconds, in which nothing is polled.
    pub(crate) busy: u64,
    /// Then everything that was woken is polled.
    pub(crate) turn: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Everything that was woken.
    All,
    /// What begins.
    New,
    /// What begins, if it connects: that asks the network for something at once.
    Connect,
}

impl Luck {
    /// Nothing is waited for.
    pub(crate) const NONE: Luck = Luck {
        heard: Heard::All,
        busy: 0,
        turn: false,
    };
}

/// What a script is run with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) seed: u64,
    pub(crate) backlog: u32,
    pub(crate) ops: Vec<Op>,
    pub(crate) class: Class,
    /// When each operation begins, in milliseconds; only if it is timed.
    pub(crate) at: Vec<u64>,
    /// Of each operation in the model; only if it is hasty.
    pub(crate) luck: Vec<Luck>,
}

/// What a script is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// All data fits into the buffers; the network settles after each operation.
    Small,
    /// Writes are far larger than the buffers; the network settles after each operation.
    Big,
    /// As big, with buffers that grow by themselves.
    Grown,
    /// As small, until nothing arrives any more and whoever waits for an acknowledgement gives up; then also with big writes.
    Lost,
    /// As small, but the operations follow each other at once: what has arrived in between is a matter of luck.
    Hasty,
    /// As small, but the operations come at their times, while segments are under way.
    Timed,
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} script of seed {}, backlog {}",
            self.class, self.seed, self.backlog
        )
    }
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.roll(sides) == 0
    }

    fn of<T: Copy>(&mut self, these: &[T]) -> T {
        these[self.roll(these.len())]
    }
}

/// More than all buffers ever hold.
pub(crate) const HUGE: usize = 30_000_000;

/// What fits into any buffer, also if nothing is read in a whole script.
const SMALL: [usize; 9] = [0, 1, 2, 3, 5, 16, 100, 700, 1500];
const SMALL_READS: [usize; 8] = [0, 1, 2, 4, 16, 64, 1000, 4000];

impl Script {
    /// A script of operations whose data always fits into the buffers.
    pub(crate) fn small(seed: u64) -> Script {
        let mut dice = Dice(seed);
        // Many scripts with one connection, where the halves of a close meet each other in every order; some with
        // more of them than the backlog holds.
        let crowd = dice.one_in(4);
        let clients = if crowd { 2 + dice.roll(CLIENTS - 1) } else { 1 };
        let backlog = if crowd { dice.roll(2) as u32 } else { 16 };
        let mut ops = Vec::new();
        if !dice.one_in(8) {
            ops.push(Op::Connect(0));
            // Data before accept is a case of its own.
            if !dice.one_in(4) {
                ops.push(Op::Accept);
            }
        }
        for _ in 0..3 + dice.roll(18) {
            let op = if dice.one_in(if crowd { 3 } else { 9 }) {
                setting_up(&mut dice, clients)
            } else {
                let n = dice.roll(clients);
                let end = if dice.one_in(2) {
                    End::Client(n)
                } else {
                    End::Server(n)
                };
                using(&mut dice, end)
            };
            ops.push(op);
        }
        // The tables of both hosts, and all that is left to read in one go.
        for _ in 0..dice.roll(4) {
            let n = dice.roll(clients);
            let end = dice.of(&[End::Client(n), End::Server(n)]);
            let place = dice.roll(ops.len() + 1);
            ops.insert(
                place,
                dice.of(&[Op::Netstat(end), Op::Netstat(end), Op::Read(end, 65_536)]),
            );
        }
        // What is left in the sockets shows at the end.
        for n in 0..clients {
            ops.push(Op::Drain(End::Client(n), 1000));
            ops.push(Op::Drain(End::Server(n), 1000));
        }
        Script {
            seed,
            backlog,
            ops,
            class: Class::Small,
            at: Vec::new(),
            luck: Vec::new(),
        }
    }

    /// A script whose operations come while segments are under way.
    pub(crate) fn timed(seed: u64) -> Script {
        let mut script = Script::small(seed);
        let mut dice = Dice(!seed);
        script.class = Class::Timed;
        script.ops.retain(|op| !matches!(op, Op::Netstat(_)));
        script.ops.truncate(SLOTS as usize);
        // Whatever an operation causes happens whole latencies after it. No two operations have the same place in the
        // latency, so that nothing happens at the same time as anything that something else has caused.
        let mut places: Vec<u64> = (0..SLOTS).collect();
        let mut last = 0;
        script.at = (0..script.ops.len())
            .map(|_| {
                let place = places.swap_remove(dice.roll(places.len())) * SLOT;
                let rounds =
                    last / DELAY + u64::from(last % DELAY >= place) + [0, 0, 0, 1, 2][dice.roll(5)];
                last = rounds * DELAY + place;
                last
            })
            .collect();
        script
    }

    /// A short script whose operations do not wait for the network.
    pub(crate) fn hasty(seed: u64) -> Script {
        let mut script = Script::small(seed);
        let mut dice = Dice(!seed);
        script.class = Class::Hasty;
        script.ops.retain(|op| !matches!(op, Op::Netstat(_)));
        // Few enough that luck has not too many outcomes.
        script.ops.truncate(5 + dice.roll(6));
        script.luck = vec![Luck::NONE; script.ops.len()];
        script
    }

    /// The same script with another luck: what the model does after each operation.
    pub(crate) fn with_luck(&self, luck: u64) -> Script {
        let mut dice = Dice(self.seed ^ luck.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let mut lucky = self.clone();
        // On loopback everything arrives at once, and most often the driver has no turn in the whole script.
        let swift = dice.one_in(2);
        lucky.luck.fill_with(|| match swift && !dice.one_in(4) {
            true => Luck {
                heard: dice.of(&[Heard::New, Heard::New, Heard::Connect]),
                busy: 10,
                turn: dice.one_in(8),
            },
            false => Luck {
                heard: dice.of(&[Heard::All, Heard::New, Heard::Connect]),
                // A latency is 1 ms: nothing, one way, there and back, and until nothing more happens.
                busy: dice.of(&[0, 0, 1, 2, 10]),
                turn: dice.one_in(2),
            },
        });
        lucky
    }

    /// The script without some of its operations. The others keep their times.
    pub(crate) fn without(&self, range: std::ops::Range<usize>) -> Script {
        let mut smaller = self.clone();
        smaller.ops.drain(range.clone());
        if !smaller.at.is_empty() {
            smaller.at.drain(range.clone());
        }
        if !smaller.luck.is_empty() {
            smaller.luck.drain(range);
        }
        smaller
    }

    /// A script of one connection that is cut at some point, so that both hosts are gone for each other.
    pub(crate) fn lost(seed: u64) -> Script {
        let mut dice = Dice(seed);
        let end = |dice: &mut Dice| match dice.one_in(2) {
            true => End::Client(0),
            false => End::Server(0),
        };
        let mut ops = match dice.one_in(12) {
            true => vec![Op::ConnectLost(0), Op::Accept],
            false => vec![Op::Connect(0), Op::Accept],
        };
        for _ in 0..dice.roll(4) {
            let end = end(&mut dice);
            ops.push(using(&mut dice, end));
        }
        ops.push(Op::Lose);
        for _ in 0..2 + dice.roll(6) {
            let end = end(&mut dice);
            ops.push(match dice.one_in(6) {
                true => Op::WriteAll(end, 2_000_000),
                false => using(&mut dice, end),
            });
        }
        ops.push(Op::Drain(End::Client(0), 65_536));
        ops.push(Op::Drain(End::Server(0), 65_536));
        Script {
            seed,
            backlog: 16,
            ops,
            class: Class::Lost,
            at: Vec::new(),
            luck: Vec::new(),
        }
    }

    /// A script of one connection whose buffers grow by themselves, and whose writes are larger than they ever are. What is read
    /// is less than a third of any of them, or more than a third of all. Once an end has stopped writing all that is left is read,
    /// as how much of it the buffers held differs from kernel to kernel (`tcp_rmem` alone: 6 MiB, or 32).
    pub(crate) fn grown(seed: u64) -> Script {
        let mut dice = Dice(seed);
        let mut ops = vec![Op::Connect(0), Op::Accept];
        let mut stopped = false;
        for _ in 0..3 + dice.roll(9) {
            let end = dice.of(&[End::Client(0), End::Server(0)]);
            ops.push(match dice.roll(18) {
                0..=4 => Op::WriteAll(end, HUGE),
                5..=8 if stopped => Op::Drain(end, 65_536),
                5 | 6 => Op::ReadExact(end, 200_001),
                7 | 8 => Op::ReadExact(end, 4_000_001),
                9 => Op::Drain(end, dice.of(&[8192, 100_000])),
                10 | 11 => Op::LowWater(end, dice.of(&[1, 16 << 10, 128 << 10])),
                12 => Op::Shutdown(end),
                13 | 14 => Op::Drop(end),
                15 => Op::CancelWrite(end),
                16 => Op::Reset(end),
                _ => Op::Netstat(end),
            });
            stopped |= matches!(
                ops.last(),
                Some(Op::Shutdown(_) | Op::Drop(_) | Op::CancelWrite(_) | Op::Reset(_))
            );
        }
        ops.push(Op::Netstat(End::Client(0)));
        ops.push(Op::Netstat(End::Server(0)));
        ops.push(Op::Drain(End::Client(0), 65_536));
        ops.push(Op::Drain(End::Server(0), 65_536));
        Script {
            seed,
            backlog: 16,
            ops,
            class: Class::Grown,
            at: Vec::new(),
            luck: Vec::new(),
        }
    }

    /// A script of one connection whose writes are far larger than the buffers, so that they wait.
    pub(crate) fn big(seed: u64) -> Script {
        let mut dice = Dice(seed);
        let mut ops = vec![Op::Connect(0), Op::Accept];
        for _ in 0..3 + dice.roll(8) {
            let end = if dice.one_in(2) {
                End::Client(0)
            } else {
                End::Server(0)
            };
            ops.push(match dice.roll(16) {
                0..=4 => Op::WriteAll(end, 2_000_000),
                // All or next to nothing is read: how much Linux's buffers hold is not the question.
                5..=7 => Op::Drain(end, dice.of(&[777, 8192, 100_000])),
                8 => Op::Read(end, 1),
                9 => Op::Shutdown(end),
                10 | 11 => Op::Drop(end),
                12 => Op::Reset(end),
                13 => Op::CancelWrite(end),
                14 => dice.of(&[Op::IntoSplit(end), Op::Netstat(end)]),
                _ => dice.of(&[
                    Op::DropReadHalf(end),
                    Op::DropWriteHalf(end),
                    Op::CancelRead(end),
                ]),
            });
        }
        ops.push(Op::Drain(End::Client(0), 65_536));
        ops.push(Op::Drain(End::Server(0), 65_536));
        Script {
            seed,
            backlog: 16,
            ops,
            class: Class::Big,
            at: Vec::new(),
            luck: Vec::new(),
        }
    }
}

fn setting_up(dice: &mut Dice, clients: usize) -> Op {
    let n = dice.roll(clients);
    match dice.roll(16) {
        0..=4 => Op::Connect(n),
        5..=10 => Op::Accept,
        11 => Op::CancelConnect(n),
        12 => Op::CancelAccept,
        13 => Op::DropListener,
        14 => Op::Listen,
        _ => Op::ConnectClosedPort(n),
    }
}

fn using(dice: &mut Dice, end: End) -> Op {
    match dice.roll(60) {
        50 => Op::WriteVectored(end, dice.of(&SMALL)),
        51 => Op::WriteBorrowed(end, dice.of(&SMALL)),
        52 => Op::TryWriteVectored(end, dice.of(&SMALL)),
        53 => Op::ReadBorrowed(end, dice.of(&SMALL_READS)),
        54 => Op::TryReadVectored(end, dice.of(&SMALL_READS[1..])),
        55 => Op::TryReadBuf(end, dice.of(&SMALL_READS[1..])),
        56 => Op::LocalAddr(end),
        57 => Op::Options(end),
        58 => Op::NoLinger(end),
        59 => Op::Ready(end),
        0..=8 => Op::Write(end, dice.of(&SMALL)),
        9 => Op::WriteAll(end, dice.of(&SMALL)),
        10 => Op::TryWrite(end, dice.of(&SMALL)),
        11 => Op::WritableTry(end, dice.of(&SMALL)),
        12 => Op::CancelWrite(end),
        13..=19 => Op::Read(end, dice.of(&SMALL_READS)),
        20 | 21 => Op::ReadExact(end, dice.of(&SMALL_READS)),
        22 | 23 => Op::Drain(end, dice.of(&SMALL_READS[1..])),
        24 | 25 => Op::Peek(end, dice.of(&SMALL_READS)),
        26 | 27 => Op::TryRead(end, dice.of(&SMALL_READS)),
        28 => Op::ReadableTry(end, dice.of(&SMALL_READS)),
        29 => Op::CancelRead(end),
        30..=33 => Op::Shutdown(end),
        34..=37 => Op::Drop(end),
        38 => Op::ZeroLinger(end),
        39 | 40 => Op::Reset(end),
        41 => Op::TakeError(end),
        42 | 43 => Op::IntoSplit(end),
        44 => Op::Reunite(end),
        45 => Op::DropReadHalf(end),
        46 => Op::DropWriteHalf(end),
        47 => Op::ForgetWriteHalf(end),
        _ => Op::PeerAddr(end),
    }
}
