//! Connections in their last seconds: where chance seldom comes, since it takes an hour, or a shutdown at the right moment.
//!
//! A connection that is an hour old, and one that is busy when its server is told to shut down, end by a clock that has nothing to
//! do with what their clients are at. Here a client comes to any phase while that clock is the next, and does any one thing there.
//!
//! ```text
//! age:       GET GET GET ... (each just before the keep-alive runs out) GET .. phase .. action |an hour
//! shutdown:  GET of more than is taken, and more behind it |shutdown .. takes it .. phase .. action |10 s
//! ```

use std::time::Duration;

use super::{
    grid::{Action, Draw, Phase},
    message::Message,
};
use crate::{
    scenario::{Client, Network, Scenario},
    send::{Head, Piece, Send, Trickle},
    server_event::{ServerAction, ServerEvent},
    step::{LinkChange, Read, Step},
};

/// One in so many cases is of this kind: an hour of requests is dear.
pub(super) const ONE_IN: u64 = 384;

/// How old a connection may become, at servers that have such a limit.
const AGE_MS: u64 = 60 * 60 * 1000;
/// Between two requests: just less than the usual longest keep-alive, so that few fill the hour.
const KEEP_ALIVE_MS: (u64, u64) = (74_900, 74_985);
/// So many of them, and the connection is seconds away from its age.
const REQUESTS: u64 = 48;
/// So little room there is for a response that it soon waits for its client.
const BUFFER: usize = 4 << 10;
/// More than that room, and so much of it taken that the rest fits.
const HELD: (u64, u64) = (12_000, 11_000);
/// Between the reads of a response that lasts to the very end. What was read before pays for the next pause.
const DRAIN_PAUSES_MS: [u64; 2] = [12_000, 25_000];
/// Within this a server finds that all it has sent is acknowledged: until then it is not the age that
/// comes next, but the rate.
const LOOK_MS: u64 = 20_000;
/// After a shutdown, so late that no clock of a phase is earlier than the shutdown's.
const AFTER_SHUTDOWN_MS: (u64, u64) = (8_100, 9_000);

/// What the connection ends by, if by nothing else.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Age,
    Shutdown,
}

/// Where it is in its last seconds.
#[derive(Clone, Copy)]
enum Spot {
    /// Within a request that may still be answered.
    In(Phase),
    /// The response is taken at last, and of the request's body there is more to come.
    Drain,
    /// The response is taken at last, and nothing else was said.
    Idle,
    /// Within a response of which nothing more comes.
    Silent,
}

const BEFORE_AGE: [Spot; 8] = [
    Spot::In(Phase::Head),
    Spot::In(Phase::Expect),
    Spot::In(Phase::Body),
    Spot::In(Phase::Handler),
    Spot::In(Phase::Response),
    Spot::Drain,
    Spot::Idle,
    Spot::Silent,
];

const IN_SHUTDOWN: [Spot; 7] = [
    Spot::In(Phase::Head),
    Spot::In(Phase::Expect),
    Spot::In(Phase::Body),
    Spot::In(Phase::Handler),
    Spot::In(Phase::Response),
    Spot::Drain,
    // A whole request: it is answered, and the server lingers.
    Spot::In(Phase::Idle),
];

/// What the client does there.
#[derive(Clone, Copy)]
enum Last {
    /// Goes on, in one write or bit by bit.
    Says,
    Trickles,
    /// Takes some of what it was sent.
    Takes,
    /// Is not heard any more, or hears nothing.
    Hole,
    Does(Action),
}

const LASTS: [Last; 11] = [
    Last::Says,
    Last::Trickles,
    Last::Takes,
    Last::Does(Action::Silence),
    Last::Does(Action::HalfClose),
    Last::Does(Action::Close),
    Last::Does(Action::Reset),
    Last::Does(Action::Reconnect),
    Last::Does(Action::Vanish),
    Last::Hole,
    Last::Does(Action::Network),
];

impl Draw<'_> {
    /// Makes it a case of one client whose connection is in its last seconds. `self.stream` is this purpose's own.
    pub(super) fn last_seconds(mut self, scenario: &mut Scenario) {
        let end = match self.options.server_events && self.stream.chance(1, 2) {
            true => End::Shutdown,
            false => End::Age,
        };
        scenario.network = Network {
            latency: scenario.network.latency,
            rst: scenario.network.rst,
            send_buffer: Some(BUFFER),
            receive_buffer: Some(BUFFER),
            ..Network::default()
        };
        let mut steps = Vec::with_capacity(self.options.steps_max);
        steps.push(Step::Connect);
        scenario.server_events = Vec::new();
        let (message, mut at) = match end {
            End::Age => self.grow_old(&mut steps),
            End::Shutdown => {
                let asked = Duration::from_millis(self.stream.between(500, 1000));
                scenario.server_events = vec![ServerEvent {
                    at: asked,
                    action: ServerAction::Shutdown,
                }];
                self.be_busy(asked, &mut steps)
            }
        };
        // What was sent, or taken, is on its way.
        let under_way = self.stream.between(20, 300);
        steps.push(stall(under_way));
        self.last(&message, &mut at, &mut steps);
        steps.truncate(self.options.steps_max.max(1));
        scenario.clients = vec![Client {
            steps,
            ..Client::default()
        }];
    }

    /// A message with which this phase lasts.
    fn lasting(&mut self, phase: Phase) -> Message {
        match phase {
            Phase::Handler => {
                let ms = self.stream.between(5000, 31_000);
                self.get_of(format!("/slow/{ms}").into())
            }
            Phase::Response => self.get_of("/big/20000".into()),
            _ => self.message(phase),
        }
    }

    /// Asks again and again for almost an hour, and comes to a spot. Gives the message there, and how much of it is sent.
    fn grow_old(&mut self, steps: &mut Vec<Step>) -> (Message, u64) {
        let spot = *self.stream.pick(&BEFORE_AGE);
        let every = self.stream.between(KEEP_ALIVE_MS.0, KEEP_ALIVE_MS.1);
        let mut ask = |count: u64| {
            let head = Piece::Head(Head::new("GET", "/"));
            steps.push(Step::Send(Send {
                trickle: Some(Trickle {
                    size: head.len(),
                    every: Duration::from_millis(every),
                }),
                what: vec![head; count as usize],
                part: None,
            }));
        };
        match spot {
            Spot::In(phase) => {
                ask(REQUESTS);
                let message = self.lasting(phase);
                let at = self.point(phase, &message);
                steps.push(Step::Send(message.part(0, at)));
                (message, at)
            }
            // There will be no other request: it would outlive the age. So the response to the last one lasts.
            Spot::Idle => {
                ask(REQUESTS - 1);
                let message = held("GET", HELD.0, 0);
                steps.push(Step::Send(message.part(0, message.end)));
                steps.push(stall(self.stream.between(8_000, 12_000)));
                steps.push(Step::Read(Read::Bytes(HELD.1)));
                steps.push(stall(LOOK_MS));
                let end = message.end;
                (message, end)
            }
            Spot::Silent => {
                ask(REQUESTS - 1);
                let message = Message::of(vec![Piece::Head(Head::new("GET", "/events"))]);
                steps.push(Step::Send(message.part(0, message.end)));
                steps.push(stall(LOOK_MS));
                let end = message.end;
                (message, end)
            }
            // The same to the very end, with some bytes taken before the server gives up on it.
            Spot::Drain => {
                ask(REQUESTS - 1);
                let message = held("POST", 28_000, 1000);
                let at = message.end - self.stream.between(1, 900);
                steps.push(Step::Send(message.part(0, at)));
                for pause in DRAIN_PAUSES_MS {
                    steps.push(stall(pause));
                    steps.push(Step::Read(Read::Bytes(7000)));
                }
                let asked_at = (REQUESTS - 1) * every;
                let left = AGE_MS - asked_at - DRAIN_PAUSES_MS.iter().sum::<u64>();
                steps.push(stall(left - self.stream.between(1000, 1700)));
                steps.push(Step::Read(Read::Bytes(11_000)));
                (message, at)
            }
        }
    }

    /// Takes a response only when the server is almost over with its shutdown, which so comes to what was said behind the request.
    fn be_busy(&mut self, asked: Duration, steps: &mut Vec<Step>) -> (Message, u64) {
        let (message, at) = match *self.stream.pick(&IN_SHUTDOWN) {
            Spot::In(phase) => {
                let behind = self.lasting(phase);
                let at = self.point(phase, &behind);
                let held = held("GET", HELD.0, 0);
                let at = held.end + at;
                (held.then(behind), at)
            }
            Spot::Drain | Spot::Idle | Spot::Silent => {
                let message = held("POST", HELD.0, 1000);
                let at = message.end - self.stream.between(1, 900);
                (message, at)
            }
        };
        steps.push(Step::Send(message.part(0, at)));
        let (low, high) = AFTER_SHUTDOWN_MS;
        let after = asked + Duration::from_millis(self.stream.between(low, high));
        // The handshake has taken a round trip.
        let duration = after.saturating_sub(self.round_trip);
        steps.push(Step::Stall { duration });
        steps.push(Step::Read(Read::Bytes(HELD.1)));
        (message, at)
    }

    /// Does one thing.
    fn last(&mut self, message: &Message, at: &mut u64, steps: &mut Vec<Step>) {
        let more = || match *at < message.end {
            true => message.part(*at, message.end),
            false => Head::new("GET", "/").into(),
        };
        match *self.stream.pick(&LASTS) {
            Last::Says => steps.push(Step::Send(more())),
            Last::Trickles => {
                let mut send = more();
                send.trickle = Some(Trickle {
                    size: send.len().div_ceil(4),
                    every: Duration::from_millis(self.stream.between(20, 200)),
                });
                steps.push(Step::Send(send));
            }
            Last::Takes => steps.push(Step::Read(Read::Bytes(self.stream.between(1, 1000)))),
            Last::Hole if self.options.network => {
                steps.push(Step::Network(LinkChange {
                    blackhole: Some(self.hole()),
                    ..LinkChange::default()
                }));
            }
            Last::Hole => {}
            Last::Does(Action::Vanish) if !self.options.vanish => {}
            Last::Does(Action::Network) if !self.options.network => {}
            Last::Does(action) => self.act(action, message, at, steps),
        }
    }
}

/// A request for so many bytes, with a body that nobody reads.
fn held(method: &'static str, bytes: u64, body: u64) -> Message {
    let mut head = Head::new(method, format!("/big/{bytes}"));
    if body == 0 {
        return Message::of(vec![Piece::Head(head)]);
    }
    head.length = Some(body);
    Message::of(vec![Piece::Head(head), Piece::Body(body)])
}

fn stall(ms: u64) -> Step {
    Step::Stall {
        duration: Duration::from_millis(ms),
    }
}
