//! Cases in which it is the number or the size of something that matters: where chance seldom comes, since it is dear.
//!
//! | kind | what clients do |
//! |---|---|
//! | burst | 20 to 100 of them come in the same instant, each with one request |
//! | keepers | as many as a pool is likely to have places, and each stays idle behind its response |
//! | stuck | many ask for a response that never comes |
//! | panics | eight or more handlers panic, and then there is an ordinary request |
//! | aborts | a hundred connections or more are reset, each in the middle of a request |
//! | refusal | a request outlasts its handler's deadline, which is a 503, and sixteen or more requests follow |
//! | empty lines | there is an empty line before each request, or every few seconds and never a request |
//! | long head | a head goes on for more than any server takes, and has no end |
//! | upload | a body is larger than what buffers hold |
//! | tunnel | a connection switches protocols, and what was said of requests holds no longer |
//!
//! Nothing happens to the server and the network is a plain one, so that it is the clients that count.

use std::{sync::LazyLock, time::Duration};

use super::{grid::Draw, message::Message};
use crate::{
    scenario::{Client, Network, Scenario},
    send::{Head, Piece, Send, Trickle},
    step::{Await, Read, Step, Until},
};

/// One in so many cases is of this kind.
pub(super) const ONE_IN: u64 = 96;

/// Clients of a burst.
const BURST: (u64, u64) = (20, 100);
/// Numbers of places that pools have.
const PLACES: [u64; 7] = [4, 4, 8, 8, 16, 32, 100];
/// Clients that ask for what never comes.
const STUCK: (u64, u64) = (10, 40);
/// Handlers that panic.
const PANICS: (u64, u64) = (8, 40);
/// Clients that reset their connections, and how often each does.
const ABORTING: (u64, u64) = (30, 60);
const ABORTS_EACH: usize = 4;
/// Requests behind a refusal.
const AFTER_REFUSAL: (u64, u64) = (16, 32);
/// So long after the request that is refused the others come: longer than most servers let a handler work.
const REFUSED_WITHIN: Duration = Duration::from_secs(70);
/// Between two empty lines: less than a head's clock, or than an idle connection's.
const EMPTY_LINE_EVERY_S: [u64; 3] = [9, 9, 29];
/// Longer than any connection may stay. A server that closes before that makes it cheap.
const EMPTY_LINES_S: u64 = 25 * 60 * 60;
/// Bytes of an upload.
const UPLOADS: [u64; 4] = [300_000, 1_200_000, 3_000_000, 3_000_000];
/// Bytes of a head without an end.
const LONG_HEADS: [usize; 3] = [300_000, 1_200_000, LONG_HEAD_MAX];
const LONG_HEAD_MAX: usize = 2_500_000;
/// The target that switches protocols.
const TUNNEL: &str = "/upgrade";

/// What fills a head that has no end.
static LONG_HEAD: LazyLock<String> = LazyLock::new(|| "p".repeat(LONG_HEAD_MAX));

#[derive(Clone, Copy)]
enum Kind {
    Burst,
    Keepers,
    Stuck,
    Panics,
    Aborts,
    Refusal,
    EmptyLines,
    LongHead,
    Upload,
    Tunnel,
}

/// Each as often as it comes: what is dear seldom.
const KINDS: [Kind; 21] = [
    Kind::Burst,
    Kind::Keepers,
    Kind::Keepers,
    Kind::Keepers,
    Kind::Stuck,
    Kind::Stuck,
    Kind::Panics,
    Kind::Panics,
    Kind::Aborts,
    Kind::Refusal,
    Kind::Refusal,
    Kind::EmptyLines,
    Kind::EmptyLines,
    Kind::LongHead,
    Kind::Upload,
    Kind::Upload,
    Kind::Tunnel,
    Kind::Tunnel,
    Kind::Tunnel,
    Kind::Tunnel,
    Kind::Tunnel,
];

impl Draw<'_> {
    /// Makes it a case of one of these kinds. `self.stream` is this purpose's own.
    pub(super) fn abuse(mut self, scenario: &mut Scenario) {
        scenario.network = Network {
            latency: scenario.network.latency,
            rst: scenario.network.rst,
            ..Network::default()
        };
        scenario.server_events = Vec::new();
        let mut clients = match *self.stream.pick(&KINDS) {
            Kind::Burst => vec![self.burst()],
            Kind::Keepers => vec![self.keepers()],
            Kind::Stuck => vec![self.stuck()],
            Kind::Panics => self.panics(),
            Kind::Aborts => vec![self.aborts()],
            Kind::Refusal => self.refusal(),
            Kind::EmptyLines => vec![self.empty_lines()],
            Kind::LongHead => vec![self.long_head()],
            Kind::Upload => vec![self.upload()],
            Kind::Tunnel => vec![self.tunnel()],
        };
        for client in &mut clients {
            client.steps.truncate(self.options.steps_max.max(1));
        }
        scenario.clients = clients;
    }

    fn burst(&mut self) -> Client {
        let target = match self.stream.below(4) {
            0 => self.slow(),
            1 => format!("/big/{}", self.stream.below(50_000)).into(),
            2 => "/missing".into(),
            _ => "/".into(),
        };
        let message = match self.stream.chance(1, 4) {
            true => self.post(false),
            false => self.get_of(target),
        };
        let mut steps = vec![Step::Connect, whole(&message)];
        self.await_final(&mut steps);
        self.leave_or_stay(&mut steps);
        let count = self.stream.between(BURST.0, BURST.1);
        several(count, Duration::ZERO, steps)
    }

    fn keepers(&mut self) -> Client {
        let steps = vec![Step::Connect, ask("/"), await_final(10)];
        several(*self.stream.pick(&PLACES), self.stagger(), steps)
    }

    fn stuck(&mut self) -> Client {
        let mut steps = vec![Step::Connect, ask("/never"), await_final(600)];
        self.leave_or_stay(&mut steps);
        let count = self.stream.between(STUCK.0, STUCK.1);
        several(count, self.stagger(), steps)
    }

    fn panics(&mut self) -> Vec<Client> {
        let mut steps = vec![Step::Connect, ask("/panic"), await_final(10)];
        self.leave_or_stay(&mut steps);
        let count = self.stream.between(PANICS.0, PANICS.1);
        let panicking = several(count, self.stagger(), steps);
        vec![panicking, self.afterwards(1, Duration::from_secs(20))]
    }

    fn aborts(&mut self) -> Client {
        let message = match self.stream.chance(1, 2) {
            true => self.post(false),
            false => self.get_of("/".into()),
        };
        // Also the whole of it, so that the reset meets a response.
        let to = self.stream.between(1, message.end);
        let after = match self.stream.chance(1, 2) {
            true => Duration::ZERO,
            false => self.stagger(),
        };
        let mut steps = vec![Step::Connect];
        for abort in 0..ABORTS_EACH {
            if abort > 0 {
                steps.push(Step::Reconnect { after });
            }
            steps.push(Step::Send(message.part(0, to)));
            steps.push(Step::Reset);
        }
        let count = self.stream.between(ABORTING.0, ABORTING.1);
        several(count, self.stagger(), steps)
    }

    fn refusal(&mut self) -> Vec<Client> {
        let within = REFUSED_WITHIN.as_secs();
        let refused = several(
            1,
            Duration::ZERO,
            vec![Step::Connect, ask("/never"), await_final(within)],
        );
        let count = self.stream.between(AFTER_REFUSAL.0, AFTER_REFUSAL.1);
        vec![refused, self.afterwards(count, REFUSED_WITHIN)]
    }

    fn empty_lines(&mut self) -> Client {
        let mut steps = vec![Step::Connect];
        let all = self.stream.chance(1, 4);
        if all {
            for _ in 0..3 {
                let lines = self.stream.between(1, 3) as usize;
                let head = Head::new("GET", "/");
                steps.push(Step::Send(Send {
                    what: vec![Piece::Bytes(b"\r\n".repeat(lines)), Piece::Head(head)],
                    part: None,
                    trickle: None,
                }));
                steps.push(await_final(10));
            }
            return several(1, Duration::ZERO, steps);
        }
        if self.stream.chance(1, 2) {
            steps.extend([ask("/"), await_final(10)]);
        }
        let every_s = *self.stream.pick(&EMPTY_LINE_EVERY_S);
        let lines = b"\r\n".repeat((EMPTY_LINES_S / every_s) as usize);
        steps.push(Step::Send(Send {
            trickle: Some(Trickle {
                size: 2,
                every: Duration::from_secs(every_s),
            }),
            ..Send::from(Piece::Bytes(lines))
        }));
        several(1, Duration::ZERO, steps)
    }

    fn long_head(&mut self) -> Client {
        let bytes = *self.stream.pick(&LONG_HEADS);
        let mut head = Head::new("GET", "/");
        head.headers
            .push(("X-Pad".into(), LONG_HEAD[..bytes].into()));
        let message = Message::of(vec![Piece::Head(head)]);
        // The line is not over, or there is no line behind it.
        let to = message.end - self.stream.pick(&[2, 4]);
        let steps = vec![
            Step::Connect,
            Step::Send(message.part(0, to)),
            Step::Await(Await {
                until: Until::Eof,
                within: Duration::from_secs(20),
            }),
        ];
        several(1, Duration::ZERO, steps)
    }

    fn upload(&mut self) -> Client {
        let mut head = Head::new("POST", *self.stream.pick(&["/echo", "/echo", "/reject"]));
        let bytes = self.stream.pick(&UPLOADS) + self.stream.below(1000);
        let mut pieces = match self.stream.chance(2, 3) {
            true => {
                head.chunked = true;
                vec![Piece::Chunk(bytes), Piece::LastChunk]
            }
            false => {
                head.length = Some(bytes);
                vec![Piece::Body(bytes)]
            }
        };
        pieces.insert(0, Piece::Head(head));
        let message = Message::of(pieces);
        let mut steps = vec![Step::Connect];
        let to = match self.stream.chance(1, 4) {
            true => self.stream.between(message.head_end + 1, message.end - 1),
            false => message.end,
        };
        steps.push(Step::Send(message.part(0, to)));
        steps.push(await_final(60));
        several(1, Duration::ZERO, steps)
    }

    fn tunnel(&mut self) -> Client {
        // Some servers switch wherever they are asked to.
        let target = *self.stream.pick(&[TUNNEL, TUNNEL, "/"]);
        let mut head = Head::new("GET", target);
        head.connection = Some("upgrade".into());
        head.headers.push(("Upgrade".into(), "echo".into()));
        let mut send = Send::from(head);
        // What stands behind the head is the first of the new protocol.
        if self.stream.chance(1, 2) {
            let bytes = self.stream.between(1, 300) as usize;
            send.what.push(Piece::Bytes(b"e".repeat(bytes)));
        }
        let mut steps = vec![Step::Connect, Step::Send(send)];
        steps.push(Step::Await(Await {
            until: Until::Status(101),
            within: Duration::from_secs(2),
        }));
        if self.stream.chance(1, 2) {
            let bytes = self.stream.between(1, 200) as usize;
            let mut more = Send::from(Piece::Bytes(b"o".repeat(bytes)));
            if self.stream.chance(1, 2) {
                let every = self.delay();
                more.trickle = Some(Trickle { size: 20, every });
            }
            steps.push(Step::Send(more));
        }
        if self.stream.chance(1, 2) {
            let read = self.paced();
            steps.push(Step::Read(read));
        }
        match self.stream.below(8) {
            0 if self.options.vanish => steps.push(Step::Vanish),
            1 => steps.push(Step::HalfClose),
            2 => steps.push(Step::Close),
            3 => steps.push(Step::Reset),
            4 => steps.push(Step::Read(Read::All)),
            _ => {}
        }
        several(1, Duration::ZERO, steps)
    }

    /// Ordinary requests of as many clients, from this time on.
    fn afterwards(&mut self, count: u64, start: Duration) -> Client {
        let mut steps = vec![Step::Connect, ask("/"), await_final(60)];
        self.leave_or_stay(&mut steps);
        Client {
            start,
            ..several(count, self.stagger(), steps)
        }
    }

    fn leave_or_stay(&mut self, steps: &mut Vec<Step>) {
        if self.stream.chance(1, 2) {
            steps.push(Step::Close);
        }
    }

    /// Between one client and the next: nothing, or some milliseconds.
    fn stagger(&mut self) -> Duration {
        match self.stream.chance(1, 2) {
            true => Duration::ZERO,
            false => Duration::from_millis(self.stream.between(1, 20)),
        }
    }
}

fn several(count: u64, stagger: Duration, steps: Vec<Step>) -> Client {
    Client {
        count: count as u32,
        stagger,
        steps,
        ..Client::default()
    }
}

fn ask(target: &'static str) -> Step {
    Step::Send(Head::new("GET", target).into())
}

fn whole(message: &Message) -> Step {
    Step::Send(message.part(0, message.end))
}

fn await_final(within_s: u64) -> Step {
    Step::Await(Await {
        until: Until::Final,
        within: Duration::from_secs(within_s),
    })
}
