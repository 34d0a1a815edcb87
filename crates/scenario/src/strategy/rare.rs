//! Exchanges that are sound and rare: each client says whole requests, and waits for its answers.
//!
//! | kind | what clients do |
//! |---|---|
//! | extensions | the chunks of a body have extensions, which a recipient that does not know them ignores |
//! | halves | a head comes in two parts, with some seconds between them |
//! | continue | 100 is waited for, the body follows, and in half of the cases the next request is right behind it |
//! | company | two or three clients ask for different things, each within milliseconds of the other |
//! | caught | a shutdown comes between a head and its body, and the body follows |
//! | newcomer | a client comes during a shutdown, while another one is waited for |
//!
//! What comes instead of an answer is a finding in most cases, so the network is a plain one, and nothing but a shutdown
//! happens to the server.

use std::time::Duration;

use super::{grid::Draw, message::Message};
use crate::{
    scenario::{Client, Network, Scenario},
    send::{Head, Piece, Send},
    server_event::{ServerAction, ServerEvent},
    step::{Await, Step, Until},
};

/// One in so many cases is of this kind.
pub(super) const ONE_IN: u64 = 24;

/// What may stand behind the size of a chunk (RFC 9112 section 7.1.1).
const EXTENSIONS: [&str; 4] = [";a", ";a=b", ";name=\"a b\"", ";a=b;c"];
/// Between the two halves of a head: less than most servers wait for it.
const HALVES_MS: (u64, u64) = (300, 9_500);
/// So long after the start the server is told to shut down.
const SHUTDOWN_MS: (u64, u64) = (500, 1_000);
/// So long after that a body follows: less than a shutdown lasts.
const BODY_MS: (u64, u64) = (100, 3_000);
/// So long after that a client comes: when the word has reached the server, and somebody is still waited for.
const NEWCOMER_MS: (u64, u64) = (300, 1_500);
/// How long an answer is waited for: longer than a server takes to give up.
const ANSWER_S: u64 = 60;

#[derive(Clone, Copy)]
enum Kind {
    Extensions,
    Halves,
    Continue,
    Company,
    Caught,
    Newcomer,
}

const KINDS: [Kind; 6] = [
    Kind::Extensions,
    Kind::Halves,
    Kind::Continue,
    Kind::Company,
    Kind::Caught,
    Kind::Newcomer,
];

impl Draw<'_> {
    /// Makes it a case of one of these kinds. `self.stream` is this purpose's own.
    pub(super) fn rare(mut self, scenario: &mut Scenario) {
        scenario.network = Network {
            latency: scenario.network.latency,
            rst: scenario.network.rst,
            ..Network::default()
        };
        scenario.server_events = Vec::new();
        let asked = Duration::from_millis(self.stream.between(SHUTDOWN_MS.0, SHUTDOWN_MS.1));
        let kind = match *self.stream.pick(&KINDS) {
            Kind::Caught | Kind::Newcomer if !self.options.server_events => Kind::Company,
            kind => kind,
        };
        let mut clients = match kind {
            Kind::Extensions => vec![self.extensions()],
            Kind::Halves => vec![self.halves()],
            Kind::Continue => vec![self.waits_for_continue()],
            Kind::Company => self.company(),
            Kind::Caught => vec![self.caught(asked)],
            Kind::Newcomer => self.newcomer(asked),
        };
        if matches!(kind, Kind::Caught | Kind::Newcomer) {
            scenario.server_events = vec![ServerEvent {
                at: asked,
                action: ServerAction::Shutdown,
            }];
        }
        clients.truncate(self.options.clients_max.max(1) as usize);
        for client in &mut clients {
            client.steps.truncate(self.options.steps_max.max(1));
        }
        scenario.clients = clients;
    }

    fn extensions(&mut self) -> Client {
        let mut head = Head::new("POST", "/echo");
        head.chunked = true;
        let mut chunks = String::new();
        for _ in 0..self.stream.between(1, 3) {
            let length = self.stream.between(1, 300) as usize;
            let (extension, data) = (self.extension(), "e".repeat(length));
            chunks += &format!("{length:x}{extension}\r\n{data}\r\n");
        }
        let last = match self.stream.chance(1, 2) {
            true => self.extension(),
            false => "",
        };
        chunks += &format!("0{last}\r\n\r\n");
        let (head, chunks) = (Piece::Head(head), Piece::Bytes(chunks.into_bytes()));
        let mut steps = vec![Step::Connect];
        match self.stream.chance(1, 2) {
            true => steps.push(write(vec![head, chunks])),
            false => steps.extend([write(vec![head]), write(vec![chunks])]),
        }
        steps.push(answer());
        self.perhaps_another(&mut steps);
        client(steps)
    }

    fn extension(&mut self) -> &'static str {
        let which = self.stream.below(EXTENSIONS.len() as u64);
        EXTENSIONS[which as usize]
    }

    fn halves(&mut self) -> Client {
        let mut steps = vec![Step::Connect];
        if self.stream.chance(1, 3) {
            steps.extend([ask("/"), answer()]);
        }
        let message = match self.stream.chance(1, 3) {
            true => post("/echo", self.stream.between(1, 1000)),
            false => Message::of(vec![Piece::Head(Head::default())]),
        };
        let cut = self.stream.between(1, message.head_end - 1);
        let pause = self.stream.between(HALVES_MS.0, HALVES_MS.1);
        steps.push(Step::Send(message.part(0, cut)));
        steps.push(stall(Duration::from_millis(pause)));
        steps.push(Step::Send(message.part(cut, message.end)));
        steps.push(answer());
        client(steps)
    }

    fn waits_for_continue(&mut self) -> Client {
        let (length, target) = self.body();
        let mut head = Head::new("POST", target);
        head.length = Some(length);
        head.expect = Some("100-continue".into());
        let mut steps = vec![Step::Connect, write(vec![Piece::Head(head)]), go_ahead()];
        if self.stream.chance(1, 2) {
            let next = Piece::Head(Head::default());
            steps.push(write(vec![Piece::Body(length), next]));
            steps.extend([answer(), answer()]);
        } else {
            steps.extend([write(vec![Piece::Body(length)]), answer()]);
            self.perhaps_another(&mut steps);
        }
        client(steps)
    }

    fn company(&mut self) -> Vec<Client> {
        let count = self.stream.between(2, 3);
        let together = self.stream.chance(1, 2);
        let mut clients = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let message = match self.stream.below(6) {
                0 => Message::of(vec![Piece::Head(Head::new("HEAD", "/"))]),
                1 => Message::of(vec![Piece::Head(Head::new("GET", "/missing"))]),
                2 => {
                    let bytes = self.stream.between(1, 5000);
                    Message::of(vec![Piece::Head(Head::new("GET", format!("/big/{bytes}")))])
                }
                3 => Message::of(vec![Piece::Head(Head::default())]),
                _ => {
                    let (length, target) = self.body();
                    post(target, length)
                }
            };
            let mut steps = vec![Step::Connect, Step::Send(message.part(0, message.end))];
            steps.push(answer());
            self.perhaps_another(&mut steps);
            let start = match together {
                true => Duration::ZERO,
                false => Duration::from_millis(self.stream.below(6)),
            };
            clients.push(Client {
                start,
                ..client(steps)
            });
        }
        clients
    }

    fn caught(&mut self, asked: Duration) -> Client {
        let (length, target) = self.body();
        let mut message = post(target, length);
        let mut at = message.head_end;
        let mut steps = vec![Step::Connect];
        match self.stream.below(4) {
            0 => at = self.stream.between(message.head_end, message.end - 1),
            1 => {
                let mut head = Head::new("POST", target);
                head.length = Some(length);
                head.expect = Some("100-continue".into());
                message = Message::of(vec![Piece::Head(head), Piece::Body(length)]);
                at = message.head_end;
            }
            _ => {}
        }
        steps.push(Step::Send(message.part(0, at)));
        let after = Duration::from_millis(self.stream.between(BODY_MS.0, BODY_MS.1));
        steps.push(stall(asked + after));
        steps.push(Step::Send(message.part(at, message.end)));
        steps.push(answer());
        client(steps)
    }

    fn newcomer(&mut self, asked: Duration) -> Vec<Client> {
        let busy = match self.stream.below(3) {
            0 => vec![Step::Connect, ask("/never"), answer()],
            1 => {
                let ms = self.stream.between(3_000, 9_000);
                let slow = Head::new("GET", format!("/slow/{ms}"));
                vec![Step::Connect, write(vec![Piece::Head(slow)]), answer()]
            }
            _ => {
                let message = post("/echo", 100);
                let part = message.part(0, message.end - 50);
                vec![Step::Connect, Step::Send(part), answer()]
            }
        };
        let after = Duration::from_millis(self.stream.between(NEWCOMER_MS.0, NEWCOMER_MS.1));
        let newcomer = Client {
            start: asked + after,
            ..client(vec![Step::Connect, ask("/"), answer()])
        };
        vec![client(busy), newcomer]
    }

    /// How long a body is, and who gets it: it comes back as it is, or its length does.
    fn body(&mut self) -> (u64, &'static str) {
        let target = *self.stream.pick(&["/echo", "/stream"]);
        (self.stream.between(1, 5000), target)
    }

    /// Asks once more, so that what is left of the first request shows; or leaves; or stays.
    fn perhaps_another(&mut self, steps: &mut Vec<Step>) {
        match self.stream.below(4) {
            0 => steps.extend([ask("/"), answer()]),
            1 => steps.push(Step::Close),
            _ => {}
        }
    }
}

fn client(steps: Vec<Step>) -> Client {
    Client {
        steps,
        ..Client::default()
    }
}

fn post(target: &'static str, length: u64) -> Message {
    let mut head = Head::new("POST", target);
    head.length = Some(length);
    Message::of(vec![Piece::Head(head), Piece::Body(length)])
}

fn write(what: Vec<Piece>) -> Step {
    Step::Send(Send {
        what,
        ..Send::default()
    })
}

fn ask(target: &'static str) -> Step {
    write(vec![Piece::Head(Head::new("GET", target))])
}

fn answer() -> Step {
    Step::Await(Await {
        until: Until::Final,
        within: Duration::from_secs(ANSWER_S),
    })
}

fn go_ahead() -> Step {
    Step::Await(Await {
        until: Until::Status(100),
        within: Duration::from_secs(2),
    })
}

fn stall(duration: Duration) -> Step {
    Step::Stall { duration }
}
