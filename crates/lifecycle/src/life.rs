//! The life of one connection: which phase it waits in, and until when.

use crate::deadline::{Clock, Deadline, Stopwatch, deadline};
use crate::ledger::Entry;
use crate::progress::{Moved, Progress};
use crate::queue::Queue;
use crate::{CloseReason, Limits, Phase, queue};
use std::sync::Arc;
use std::time::Duration;

/// Keeps the clocks and the ledger entry of one connection. It does no I/O and reads no clock: time comes in as
/// an argument, counted from any epoch of the caller's.
///
/// Its methods are of three kinds, and a driver uses them in this order:
/// - *what happened*: [`received`](Life::received), [`sent`](Life::sent), [`request_begins`](Life::request_begins) and so on,
///   as it happens;
/// - *[`wait`](Life::wait)*, once before every wait and with what is waited for: it gives the deadline. Entering a phase replaces the clock,
///   and there is no other way to have a deadline, or to be without one;
/// - *[`close`](Life::close)*, with the one reason.
///
/// Phases that take no time are passed without a trace: a request that is answered as it arrives never waits in `handler`.
///
/// ```
/// use hangup_lifecycle::{Life, Limits, Phase};
/// use std::{sync::Arc, time::Duration};
///
/// let at = Duration::from_millis;
/// let mut life = Life::new(Arc::new(Limits::default()), at(0));
/// assert_eq!(life.wait(Phase::Opening, false, at(0)).at(), Some(at(10_000)));
/// // fasthttp #1834: the whole head of an upload comes, 100 Continue is sent, and the client says nothing more.
/// life.received(93, at(60));
/// life.request_begins(at(60));
/// life.head(Some(1000));
/// life.continue_sent(at(60));
/// assert_eq!(life.wait(Phase::Expect, false, at(60)).at(), Some(at(5_060)));
/// ```
#[derive(Clone, Debug)]
pub struct Life {
    limits: Arc<Limits>,
    phase: Phase,
    /// The next wait enters its phase anew, even if it has the same name.
    renewed: bool,
    body_begun: bool,
    waited: bool,
    progress: Progress,
    due: (Phase, Deadline),
    entry: Entry,
}

impl Life {
    /// A connection that was accepted `now`.
    pub fn new(limits: Arc<Limits>, now: Duration) -> Self {
        Life {
            limits,
            phase: Phase::Opening,
            renewed: true,
            body_begun: false,
            waited: false,
            progress: Progress::new(now),
            due: (Phase::Opening, Deadline::Never("not waiting yet")),
            entry: Entry::new(now),
        }
    }

    /// From here on, other limits: a route's, for as long as its request lasts.
    pub fn limit(&mut self, limits: Arc<Limits>) {
        self.limits = limits;
    }

    /// The limits in force.
    pub fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    /// Bytes came from the peer, of whatever kind.
    pub fn received(&mut self, bytes: u64, now: Duration) {
        self.entry.bytes_in = self.entry.bytes_in.saturating_add(bytes);
        self.progress.heard = now;
    }

    /// The client's FIN came.
    pub fn ended(&mut self, now: Duration) {
        self.progress.ended.get_or_insert(now);
    }

    /// The stream can say what the peer has acknowledged: from now on that is what counts, see [`Life::acknowledged`].
    pub fn tells(&mut self) {
        self.progress.queue.tells = true;
    }

    /// Whether the stream can say what the peer has acknowledged.
    pub fn can_tell(&self) -> bool {
        self.progress.queue.tells
    }

    /// The stream cannot say it after all: what it accepts is taken for acknowledged.
    pub fn tells_not(&mut self, now: Duration) {
        if !self.can_tell() {
            return;
        }
        let waiting = self.progress.queue.waiting();
        self.progress.queue = Queue::default();
        let transfer = &self.limits.response;
        self.progress.response.taken(waiting, transfer, now);
    }

    /// Bytes were accepted by the stream. Unless it [tells](Life::tells) more, they are taken for acknowledged by the peer.
    pub fn sent(&mut self, bytes: u64, now: Duration) {
        self.entry.bytes_out = self.entry.bytes_out.saturating_add(bytes);
        let progress = &mut self.progress;
        progress.quiet = now;
        if progress.queue.tells {
            let reading = progress.response.clock.reading(now);
            progress.queue.written(bytes, reading, &self.limits, now);
        } else {
            progress.response.taken(bytes, &self.limits.response, now);
            progress.heard = now;
        }
    }

    /// Our FIN is given to the stream. Where that [tells](Life::tells) what is acknowledged, this is, too.
    pub fn closes(&mut self, now: Duration) {
        let reading = self.progress.response.clock.reading(now);
        self.progress.queue.closed(reading, &self.limits, now);
    }

    /// Whether bytes, or the FIN, may wait in the stream for the peer to acknowledge them.
    pub fn may_wait(&self) -> bool {
        self.progress.queue.may_wait()
    }

    /// The stream says that `waiting` bytes of those that it has accepted are not acknowledged by the peer. To be asked at
    /// [`Life::look`], at every deadline, and before a close.
    pub fn acknowledged(&mut self, waiting: u64, now: Duration) {
        let progress = &mut self.progress;
        let reading = progress.response.clock.reading(now);
        let seen = progress.queue.looked(waiting, reading, &self.limits, now);
        if seen.acknowledged > 0 {
            let transfer = &self.limits.response;
            progress.response.taken(seen.acknowledged, transfer, now);
            progress.heard = now;
        }
        if let Some(reading) = seen.forgiven {
            progress.response.forgive(reading, now);
        }
        if seen.emptied {
            progress.quiet = now;
        }
    }

    /// When to ask the stream next what is acknowledged, if bytes may wait in it. It is no deadline: nothing ends then.
    pub fn look(&mut self, now: Duration) -> Option<Duration> {
        let since = self.progress.since;
        self.progress
            .queue
            .look(self.phase, since, &self.limits, now)
    }

    /// The longest time between two looks.
    pub fn looks_every(&self) -> Duration {
        queue::interval(&self.limits)
    }

    /// How many bytes may wait in the stream for the peer, as far as the last look and what was sent since tell.
    pub fn queued(&self) -> u64 {
        self.progress.queue.waiting()
    }

    /// The first byte of a request is there. The first request's clock has run since the accept.
    pub fn request_begins(&mut self, now: Duration) {
        if self.entry.requests > 0 {
            self.progress.request_since = now;
        }
        self.progress.handler = Stopwatch::default();
        self.progress.body = Moved::default();
        self.body_begun = false;
        self.renewed = true;
    }

    /// The request's head is whole and announces a body of this length; `None` is chunked.
    pub fn head(&mut self, length: Option<u64>) {
        self.entry.requests = self.entry.requests.saturating_add(1);
        self.progress.body.length = length;
    }

    /// `100 Continue` is sent: from now on the client is what is waited for.
    pub fn continue_sent(&mut self, now: Duration) {
        self.entry.status(100);
        self.begin_body(now);
    }

    /// Bytes of the body came, this many of them content: framing alone earns no time.
    pub fn body(&mut self, content: u64, now: Duration) {
        self.begin_body(now);
        if content > 0 {
            self.progress.body.add(content, now);
        }
    }

    fn begin_body(&mut self, now: Duration) {
        if !self.body_begun {
            self.body_begun = true;
            self.progress.body = Moved::new(now, self.progress.body.length);
        }
    }

    /// A final response begins with this status.
    pub fn response_begins(&mut self, status: u16, now: Duration) {
        self.entry.status(status);
        let age = now.saturating_sub(self.progress.opened);
        let too_old = self.limits.age.finite().is_some_and(|limit| age >= limit);
        if self.progress.queue.may_wait() || too_old {
            // What was sent before still waits, and its clock is no other for what comes behind it. Nor does a
            // response that begins behind the age have a grace of its own.
            self.progress.response.began = now;
        } else {
            self.progress.response = Moved::new(now, None);
        }
        self.renewed = true;
    }

    /// The response is complete and its request is over: the next wait has a clock of its own.
    pub fn request_ends(&mut self) {
        self.renewed = true;
    }

    /// The stream is back from another protocol, which had an age of its own.
    pub fn upgrade_ends(&mut self) {
        self.progress.upgraded = true;
    }

    /// The server was asked to shut down.
    pub fn shut_down(&mut self, now: Duration) {
        self.progress.shutdown.get_or_insert(now);
    }

    /// Whether its age would end a wait for another request that begins now, under the limits that are in force then.
    pub fn too_old_for_more(&self, limits: &Limits, now: Duration) -> bool {
        let age = now.saturating_sub(self.progress.opened);
        match (limits.age.finite(), limits.idle.finite()) {
            (Some(limit), Some(idle)) => age.saturating_add(idle) > limit,
            (Some(limit), None) => age >= limit,
            (None, _) => false,
        }
    }

    /// Waits in `phase`, from `now` on; `output` says that bytes wait to be accepted by the peer.
    ///
    /// Returns when the wait ends by itself. With `output`, both the phase and the response are waited for, and [`Life::phase`]
    /// is the one whose deadline comes first.
    pub fn wait(&mut self, phase: Phase, output: bool, now: Duration) -> Deadline {
        if phase != self.phase || self.renewed {
            self.enter(phase, now);
        }
        if output || self.progress.queue.may_wait() {
            self.progress.response.clock.run(now);
        } else if self.progress.response.clock.runs() {
            self.progress.response.clock.pause(now);
        }
        let own = (phase, deadline(phase, &self.limits, &self.progress));
        self.due = own;
        // Linger's clocks include the bytes of the last word. What is not known to wait ends nothing before it is looked for.
        let waits = output || self.progress.queue.waits();
        if waits && !matches!(phase, Phase::Response | Phase::Kernel | Phase::Linger) {
            let response = deadline(Phase::Response, &self.limits, &self.progress);
            if own.1.min(response) != own.1 {
                self.due = (Phase::Response, response);
            }
        }
        self.due.1
    }

    fn enter(&mut self, phase: Phase, now: Duration) {
        self.leave(now);
        if self.phase == Phase::Handler {
            self.progress.handler.pause(now);
        }
        if matches!(self.phase, Phase::Expect | Phase::Body) {
            self.progress.body.clock.pause(now);
        }
        match phase {
            Phase::Handler => self.progress.handler.run(now),
            Phase::Expect | Phase::Body => {
                self.begin_body(now);
                self.progress.body.clock.run(now);
            }
            _ => {}
        }
        self.progress.since = now;
        self.phase = phase;
        self.renewed = false;
        self.waited = true;
    }

    fn leave(&mut self, now: Duration) {
        if self.waited {
            self.entry
                .stay(self.phase, now.saturating_sub(self.progress.since));
        }
    }

    /// The phase that ends the present wait: the one that was waited in, or `response` if bytes wait and their clock is earlier.
    pub fn phase(&self) -> Phase {
        self.due.0
    }

    /// Since when it waits in its phase.
    pub fn since(&self) -> Duration {
        self.progress.since
    }

    /// When the present wait ends by itself.
    pub fn deadline(&self) -> Deadline {
        self.due.1
    }

    /// The reason for a close, if the present wait is over.
    pub fn expired(&self, now: Duration) -> Option<CloseReason> {
        match self.due {
            (phase, Deadline::At { at, clock }) if at <= now => match clock {
                Clock::HalfClose => Some(CloseReason::ClientGone(phase)),
                clock => Some(CloseReason::TimedOut { phase, clock }),
            },
            _ => None,
        }
    }

    /// The first cause of the end; later ones are consequences and change nothing.
    pub fn because(&mut self, reason: CloseReason) {
        self.entry.reason.get_or_insert(reason);
    }

    /// The connection is gone. Returns its reason, which is `otherwise` if none was given before.
    pub fn close(&mut self, otherwise: CloseReason, now: Duration) -> CloseReason {
        if self.entry.closed.is_none() {
            self.entry.closed = Some(now);
            self.leave(now);
        }
        *self.entry.reason.get_or_insert(otherwise)
    }

    /// What the ledger has on it.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }
}
