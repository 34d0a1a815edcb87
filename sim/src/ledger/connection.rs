//! One connection: what moved on it, what it owes, and whether it is let go of.

use super::{Pace, Path, Seen};
use crate::contract::{Breach, Contract, Due, Promise};
use crate::coverage::{Action, Place};
use crate::exchange::asks::{self, Asked, Asks, Fit};
use crate::exchange::{Request, Requests, Response, Responses};
use crate::server::UNCLAIMED;
use crate::trace::DateField;
use std::time::Duration;

/// What the server's kernel holds of a connection that the server has closed: phase `kernel`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The server had closed it.
    pub from: Duration,
    /// The bytes that were not acknowledged then.
    pub bytes: u64,
    /// They were acknowledged, or thrown away by a reset, or given up.
    pub until: Option<Duration>,
}

/// A server that has sent its FIN in time may wait so long for it to be acknowledged, unless it claims to be
/// done with its clients sooner: as long as any staged close may take, some round trips of a long path.
const CLOSING: Duration = UNCLAIMED.drain;

/// One connection, as an observer at both hosts sees it.
#[derive(Debug, Default)]
pub struct Connection {
    /// 1, 2, 3 ... in the order of the connect calls.
    pub id: u32,
    /// The client that opened it; none for the probe's.
    pub client: Option<u32>,
    /// It belongs to the well-behaved client that comes after the scenario.
    pub probe: bool,
    /// It belongs to a visitor, see `engine::leap::warm`.
    pub visit: bool,
    /// The server has made it itself, such as to a database: it is no client's, and is not judged.
    pub own: bool,
    /// It belongs to a well-behaved client that comes during the scenario, see [`honest`](crate::honest).
    pub honest: bool,
    /// The client called connect.
    pub born: Duration,
    /// It came to nothing: refused, abandoned or timed out before it was opened.
    pub stillborn: bool,
    /// Its handshake was complete at the server's host.
    pub opened: Option<Duration>,
    /// The server's application accepted it.
    pub accepted: Option<Duration>,
    /// The server's application let go of it, and whether that sent an RST.
    pub server_closed: Option<(Duration, bool)>,
    /// The server shut its write half down.
    pub server_shutdown: Option<Duration>,
    /// The client had not closed when the server began to (events of one instant have an order, too).
    pub client_waited: bool,
    /// The server's FIN reached the client's host, and with it everything that the server had written.
    pub server_fin_arrived: bool,
    /// The client's application let go of it (or shut down its write half: see `client_shutdown`).
    pub client_closed: Option<Duration>,
    /// The client's FIN reached the server's host, if that was later than every byte: who answers then, and not before, has
    /// waited for it.
    pub late_fin: Option<Duration>,
    /// The client half-closed.
    pub client_shutdown: Option<Duration>,
    /// The server's host learned that the client is gone: its FIN after a close, or its RST. While its own bytes are under way on
    /// a link that may lose them, a FIN says no more than that the client sends nothing more: see `heard`.
    pub client_gone: Option<Duration>,
    /// All that it learned was a FIN, as of a half-close.
    pub only_fin: bool,
    /// The server, its sockets and tasks, had nothing more to do with it.
    pub released: Option<Duration>,
    /// What the server's kernel held of it behind the server's close.
    pub kernel: Option<Kernel>,
    /// The last byte that reached either host, or that the server gave to its own; or else the opening.
    pub last_progress: Duration,
    /// Bytes that reached the server's host.
    pub bytes_in: u64,
    /// Bytes that reached the client's host.
    pub bytes_out: u64,
    /// Requests, as they reached the server's host.
    pub requests: Requests,
    /// Responses, as they reached the client's host.
    pub responses: Responses,
    /// The first time that it was held against the contract.
    pub breach: Option<Breach>,
    /// Why the server closed it, in the server's own words.
    pub close_reason: Option<&'static str>,
    /// Bytes that the server's application took from its socket, and gave to it.
    pub server_read: u64,
    /// See `server_read`.
    pub server_wrote: u64,
    /// How many bytes the server's application had taken when it began to close.
    pub read_before_close: Option<u64>,
    /// How many bytes the server's application had taken when it was told to shut down.
    pub read_at_signal: Option<u64>,
    /// How many bytes it had taken when it gave the last bytes to its socket.
    pub read_before_last_write: u64,
    /// How many of the bytes that it gave to its socket its host knows to have arrived; none while the link neither loses segments
    /// nor was changed, where that follows at once.
    pub acknowledged: Option<u64>,
    /// The last time at which it knew so of all.
    pub heard: Duration,
    /// When it gave the last of them.
    pub said_at: Duration,
    /// How many of its writes counted as answers while earlier bytes were still under way.
    pub(super) answering: usize,
    /// Bytes that the client's application took from its socket.
    pub client_read: u64,
    /// Whether it took them as fast as the contract asks of a client, where it does.
    pub pace: Pace,
    /// What its path carried since the server last had to wait for it.
    pub path: Path,
    /// Bytes reached the server's host when the server had closed, which answers them with a reset.
    pub sent_behind_close: Option<Duration>,
    /// A reset reached the client's host, and how much of what had arrived before it erased unread.
    pub client_reset: Option<(Duration, u64)>,
    /// Its path was changed, or its client's host vanished: what is not there may be under way.
    pub disturbed: bool,
    /// The client's host was gone.
    pub vanished: Option<Duration>,
    /// Segments are lost on its way: what a server wrote at once may come bit by bit.
    pub lossy: bool,
    /// How many requests of it the probe app was given.
    pub probe_app: u32,
    /// The application was given a request that is hidden in bodies.
    pub smuggled: u32,
    /// The first time that the server kept more of it for itself than it claims, and how much.
    pub hoarded: Option<(Duration, u64)>,
    /// A task of it panicked; or one that is no connection's, between its last request and its end.
    pub panicked: Option<Duration>,
    /// The server's process died with it.
    pub killed: Option<Duration>,
    /// The server does not speak HTTP: nothing is known of requests and responses.
    pub opaque: bool,
    /// Where its dates are.
    pub(crate) date: DateField,
    pub(super) live_tasks: u32,
    /// Where the server says that it is.
    pub(crate) told: Option<Place>,
    /// What its client's last step on it was to do.
    pub(crate) doing: Option<Action>,
}

impl Connection {
    /// Is this response what the request with this number asks for? It is known of the probe app alone, and of what came whole.
    pub fn fit(&self, response: &Response, request: usize) -> Fit {
        self.fit_of(response, self, request)
    }

    /// Is this response of this connection what the request with this number of another one asks for?
    pub(crate) fn fit_of(&self, response: &Response, other: &Self, request: usize) -> Fit {
        let requests = &other.requests;
        let known = self.probe_app > 0
            && response.complete_at.is_some()
            && !(requests.broken && request + 1 >= requests.list.len());
        let asked = requests.list.get(request).filter(|_| known);
        let answer = self.responses.contents.get(response.answers);
        let (Some(asked), Some(answer)) = (asked, answer) else {
            return Fit::Unknown;
        };
        let asked = Asked {
            asks: asked.asks,
            content: requests.contents.get(request),
            whole: asked.complete_at.is_some(),
            head_only: asked.head_only,
        };
        asks::fit(asked, response.status, answer)
    }

    /// Is it a connection of the scenario's clients, and not a well-behaved client's or the server's own?
    pub fn of_scenario(&self) -> bool {
        !self.probe && !self.own && !self.visit && !self.honest
    }

    /// Does the server still have a socket or a task of it?
    pub fn held(&self) -> bool {
        self.accepted.is_some() && self.released.is_none() && !self.own
    }

    /// Looks at how fast the client reads, whenever something has arrived or was read.
    pub(super) fn paces(&mut self, now: Duration, rate: u64) {
        let taken = (self.client_read, self.bytes_out);
        self.pace.look(now, taken, rate);
    }

    /// Does the server's kernel still hold bytes of it, which the server has closed?
    pub fn in_kernel(&self) -> bool {
        self.kernel.is_some_and(|kernel| kernel.until.is_none())
    }

    /// The deadline of what its kernel holds, if the server claims one: as long after the last byte that the client took.
    fn kernel_due(&self, contract: &Contract) -> Option<Due> {
        // The kernel of a process that was killed delivers what it can.
        // Nor has a handler that panics a choice of how its connection is closed.
        let excused = self.killed.is_some() || self.panicked.is_some() || self.own;
        let kernel = self.kernel.filter(|_| !excused);
        let from = kernel.filter(|kernel| kernel.until.is_none())?.from;
        let since = from.max(self.last_progress);
        Some(Due {
            at: since.saturating_add(contract.kernel?),
            since,
            promise: Promise::Kernel,
        })
    }

    /// The deadline by which the server and its kernel are to be done with it; none if they are, or claim nothing more.
    pub(super) fn next_due(&self, contract: &Contract) -> Option<Due> {
        let held = self.held().then(|| self.due(contract));
        let kernel = self.kernel_due(contract);
        held.into_iter().chain(kernel).min_by_key(|due| due.at)
    }

    /// The deadline that comes first, and the promise behind it.
    pub fn due(&self, contract: &Contract) -> Due {
        // The time in the backlog is not the server's: it cannot end what it has not accepted.
        let from = self.accepted.or(self.opened).unwrap_or_default();
        let silent = self.last_progress.max(from);
        let mut first = match (self.waits_for_application(), self.vanished) {
            (false, _) => Due {
                at: silent.saturating_add(contract.stall),
                since: silent,
                promise: Promise::Stall,
            },
            (true, None) => Due {
                at: Duration::MAX,
                since: silent,
                promise: Promise::Stall,
            },
            (true, Some(vanished)) => Due {
                at: silent.max(vanished).saturating_add(contract.vanished),
                since: silent.max(vanished),
                promise: Promise::Vanished,
            },
        };
        let residence = from.saturating_add(contract.longest(self.bytes_out));
        if residence < first.at {
            first = Due {
                at: residence,
                since: from,
                promise: Promise::Residence,
            };
        }
        if let Some(tunnel) = self.tunnel_due(contract) {
            first = tunnel;
        }
        if let Some(gone) = self.client_gone
            && !self.unheard()
            && (contract.drain != UNCLAIMED.drain || !self.may_wait_for_answer())
        {
            let since = gone.max(from).max(self.heard);
            let drain = since.saturating_add(contract.drain);
            if drain < first.at {
                first = Due {
                    at: drain,
                    since,
                    promise: Promise::Drain,
                };
            }
        }
        if let Some(shut) = self.server_shutdown.filter(|shut| *shut <= first.at) {
            first.at = first
                .at
                .max(shut.saturating_add(contract.drain.min(CLOSING)));
        }
        first
    }

    /// The deadline of a connection that has switched protocols, where the contract has one of its own for it.
    fn tunnel_due(&self, contract: &Contract) -> Option<Due> {
        let last = self.responses.list.last();
        let since = last.filter(|response| response.status == 101)?.at;
        Some(Due {
            at: since.saturating_add(contract.upgrade?),
            since,
            promise: Promise::Upgrade,
        })
    }

    /// The server is within a response that its application paces, and everything that it has said has arrived: it waits for nobody but that
    /// application, and its client has done all that it can.
    fn waits_for_application(&self) -> bool {
        let Some(last) = self.responses.list.last() else {
            return false;
        };
        let request = self.requests.list.get(last.answers);
        let paced =
            |request: &Request| request.asks == Asks::Paced && request.complete_at.is_some();
        self.responses.inside()
            && last.is_final()
            && request.is_some_and(paced)
            && self.bytes_out == self.server_wrote
    }

    /// The server waits to hear of bytes that it has sent, and may have to for long: its client may still be there and take them.
    pub(super) fn unheard(&self) -> bool {
        self.acknowledged
            .is_some_and(|known| known < self.server_wrote)
    }

    /// A request came whole and is not answered, or not to its end, and the FIN behind it may be that of a client that waits (RFC 9112
    /// section 9.6): how long the application takes for it is not the client's doing. Who claims a time for it is held to that all the
    /// same.
    fn may_wait_for_answer(&self) -> bool {
        let next = self.requests.list.get(self.responses.finals);
        let waits = next.is_some_and(|request| request.complete_at.is_some());
        self.only_fin && (waits || self.waits_for_application())
    }

    /// Can what the server writes now be the answer to a whole request of which no answer has come? Each request excuses one
    /// write, so that a server that writes for ever to a client that takes nothing is not excused for ever.
    pub(super) fn may_answer(&mut self) -> bool {
        let list = &self.requests.list;
        let partial = list.last().is_some_and(|last| last.complete_at.is_none());
        let whole = list.len() - usize::from(partial);
        self.answering = self.answering.max(self.responses.finals);
        let answers = self.answering < whole;
        self.answering += usize::from(answers);
        answers
    }

    /// How many of the bytes that it has read the server must still have, since it cannot have done anything with them:
    /// those behind the request that it works on, or those of a head of which the end has not come. Nothing is known of a body, which
    /// an application may be reading, nor while anything that the server has said is under way, which may be an answer.
    pub(super) fn kept(&self) -> u64 {
        let requests = &self.requests;
        let closing = self.server_shutdown.is_some()
            || requests.list.iter().any(|request| request.close)
            || self.responses.list.iter().any(|response| response.close);
        if closing || requests.broken || self.opaque || self.server_wrote != self.bytes_out {
            return 0;
        }
        let from = match requests.list.get(self.responses.finals) {
            Some(request) => request.end,
            None => requests.head_at(),
        };
        from.map_or(0, |from| self.server_read.saturating_sub(from))
    }

    /// The server's host learns that so many of its bytes have arrived.
    pub(super) fn hears(&mut self, at: Duration, bytes: u64) {
        let waited = self.unheard();
        let before = self.acknowledged.replace(bytes);
        if before.is_some_and(|before| before < bytes) {
            self.last_progress = at;
        }
        if waited && !self.unheard() {
            self.heard = at;
        }
    }

    /// Notes a breach if a deadline has passed by `now`.
    pub(super) fn check(&mut self, now: Duration, contract: &Contract, slack: Duration) {
        if self.breach.is_none()
            && let Some(due) = self.next_due(contract)
            && now > due.at.saturating_add(slack)
        {
            self.breach = Some(Breach {
                at: due.at,
                since: due.since,
                promise: due.promise,
                phase: self.phase(),
            });
        }
    }

    /// Notes the release if there is nothing left; true when that was now.
    pub(super) fn let_go(&mut self, at: Duration) -> bool {
        let gone = self.server_closed.is_some() && self.live_tasks == 0 && self.released.is_none();
        if gone {
            self.released = Some(at);
        }
        gone
    }

    /// What the server was waiting for, seen from outside, for people: the phase of the connection.
    pub fn phase(&self) -> &'static str {
        match self.in_kernel() {
            true => "kernel",
            false => self.seen().name(),
        }
    }

    /// The same as a value.
    pub fn seen(&self) -> Seen {
        if self.opaque && self.server_closed.is_none() && self.server_shutdown.is_none() {
            return Seen::Open;
        }
        let requests = self.requests.list.len();
        if self.server_closed.is_some() || self.server_shutdown.is_some() {
            Seen::Closing
        } else if self.responses.tunnel.is_some() {
            Seen::Upgrade
        } else if self.responses.inside() {
            Seen::Response
        } else if self.requests.in_body() && self.responses.finals < requests {
            Seen::Body
        } else if self.responses.finals < requests {
            Seen::Handler
        } else if self.requests.in_head() {
            Seen::Head
        } else if self.requests.broken {
            Seen::Malformed
        } else if self.requests.in_body() {
            Seen::Drain
        } else if requests == 0 {
            Seen::Opening
        } else {
            Seen::Idle
        }
    }

    /// Where an action of its client meets it; none while the server does not have it.
    pub(crate) fn place(&self) -> Option<Place> {
        if self.probe {
            return None;
        }
        self.told
            .or_else(|| self.held().then(|| Place::Seen(self.seen())))
    }
}
