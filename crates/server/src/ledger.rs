//! Every connection of a server: who is there, in which phase, and how the others ended.

mod pressure;
mod snapshot;
mod waiting;

use crate::admission::{Admission, Admitted, Bounds, Leave};
use crate::server::Config;
use crate::{Peer, Watch};
use hangup_lifecycle::{Clock, CloseReason, Deadline, Entry, Life, Phase};
use http::request;
pub(crate) use pressure::AcceptFailure;
use pressure::{AcceptErrors, Pressure};
pub use snapshot::{Counts, Open, Snapshot, Totals};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;
use tokio::time::Instant;
use tracing::Span;
use waiting::Waiting;

/// The ledger of a server. Clones share it.
///
/// A connection opens its card when it begins and closes it when it is dropped, however that happens, so that
/// `opened = open + closed by each reason` holds whenever it is looked at.
#[derive(Clone)]
pub struct Ledger {
    books: Arc<Mutex<Books>>,
    /// Who could make room. Its locks are taken within that of `books` or alone, never around it.
    waiting: Arc<Waiting>,
    pressure: Arc<Pressure>,
}

#[derive(Default)]
struct Books {
    opened: u64,
    closed: BTreeMap<&'static str, u64>,
    /// What the closed ones have moved, and how long they waited.
    totals: Totals,
    /// The open ones, each at its card's place, and the places that are free.
    cards: Vec<Option<Arc<Card>>>,
    free: Vec<usize>,
    admission: Admission,
    accept_errors: AcceptErrors,
    stopping: bool,
    /// Connections that were cut at the end of a shutdown, as they were then.
    cut: Vec<Open>,
}

/// One open connection's card in the books.
pub(crate) struct Card {
    id: u64,
    peer: Peer,
    opened: Instant,
    stopping: AtomicBool,
    /// It was told to make room.
    leaving: AtomicBool,
    now: Mutex<Now>,
}

/// What a connection wrote on its card when it last began to wait. Times are since its accept.
struct Now {
    phase: Phase,
    since: Duration,
    ends: Deadline,
    heard: Duration,
    bytes_in: u64,
    bytes_out: u64,
    queued: u64,
    requests: u32,
    responses: Responses,
    /// How it is to make room, once it was told to.
    leave: Option<Leave>,
    /// The task, to be told of a shutdown, or to make room.
    waker: Option<Waker>,
}

/// The responses of a connection: how many of each class, 1xx first, and the last one's status.
#[derive(Clone, Copy, Default)]
struct Responses {
    by_class: [u32; 5],
    last: Option<u16>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while one of these is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Ledger {
            books: Arc::default(),
            waiting: Arc::default(),
            pressure: Arc::default(),
        }
    }

    /// How many connections there are and were.
    pub fn counts(&self) -> Counts {
        lock(&self.books).counts()
    }

    /// The open connections, oldest first.
    pub fn open(&self) -> Vec<Open> {
        self.snapshot().open
    }

    /// All of it at one moment. Its counts are those of its list; what a connection waits for may be newer than they are.
    pub fn snapshot(&self) -> Snapshot {
        let (counts, mut totals, mut cards) = {
            let books = lock(&self.books);
            let cards: Vec<_> = books.cards.iter().flatten().cloned().collect();
            (books.counts(), books.totals, cards)
        };
        cards.sort_unstable_by_key(|card| card.id);
        let open = cards.iter().map(|card| card.read(&mut totals)).collect();
        Snapshot {
            at: Instant::now(),
            counts,
            totals,
            open,
        }
    }

    /// Tells every connection, also those that come yet, that the server shuts down.
    pub(crate) fn stop(&self) {
        let cards: Vec<_> = {
            let mut books = lock(&self.books);
            books.stopping = true;
            books.cards.iter().flatten().cloned().collect()
        };
        for card in cards {
            // First the word, then the call: whoever leaves a waker behind looks for the word once more.
            card.stopping.store(true, Ordering::SeqCst);
            let waker = lock(&card.now).waker.take();
            waker.into_iter().for_each(Waker::wake);
        }
    }

    /// The connections that were cut at the end of a shutdown.
    pub(crate) fn cut(&self) -> Vec<Open> {
        std::mem::take(&mut lock(&self.books).cut)
    }

    /// Has the connection that was idle longest make room. `false` if each has a request in
    /// progress.
    pub(crate) fn make_room(&self, bounds: &Bounds) -> bool {
        let mut evicted = None;
        {
            let Books {
                admission, cards, ..
            } = &mut *lock(&self.books);
            admission.make_room(bounds, |leave| self.evict(leave, cards, &mut evicted));
        }
        evicted.is_some_and(|card| card.call())
    }

    /// Chooses the connection that is to make room.
    fn evict(
        &self,
        leave: Leave,
        cards: &[Option<Arc<Card>>],
        evicted: &mut Option<Arc<Card>>,
    ) -> bool {
        let place = self.waiting.take_longest();
        *evicted = place.and_then(|place| cards.get(place)?.clone());
        if let Some(card) = evicted {
            lock(&card.now).leave = Some(leave);
            card.leaving.store(true, Ordering::SeqCst);
        }
        evicted.is_some()
    }

    /// Opens the card of a connection, and says whether it is to be served. Without `room` it is
    /// not.
    pub(crate) fn enter(
        &self,
        peer: Peer,
        opened: Instant,
        config: &Config,
        room: bool,
    ) -> Account {
        let bounds = config.bounds();
        let mut evicted = None;
        let (card, place, admitted) = {
            let mut books = lock(&self.books);
            let Books {
                admission, cards, ..
            } = &mut *books;
            let admitted = if room {
                admission.enter(&peer, &bounds, |leave| {
                    self.evict(leave, cards, &mut evicted)
                })
            } else {
                admission.refuse(CloseReason::TooManyConnections, &bounds)
            };
            books.opened += 1;
            let now = Now {
                phase: Phase::Opening,
                since: Duration::ZERO,
                ends: Deadline::Never("its task has not run yet"),
                heard: Duration::ZERO,
                bytes_in: 0,
                bytes_out: 0,
                queued: 0,
                requests: 0,
                responses: Responses::default(),
                leave: None,
                waker: None,
            };
            let card = Arc::new(Card {
                id: books.opened,
                peer,
                opened,
                stopping: AtomicBool::new(books.stopping),
                leaving: AtomicBool::new(false),
                now: Mutex::new(now),
            });
            let place = books.free.pop().unwrap_or_else(|| {
                books.cards.push(None);
                books.cards.len() - 1
            });
            books.cards[place] = Some(card.clone());
            if matches!(admitted, Admitted::Served(_)) {
                self.waiting.note(place, Phase::Opening, opened, false);
            }
            (card, place, admitted)
        };
        let evicts = evicted.is_some();
        if let Some(card) = evicted {
            card.call();
            self.pressure.evicted(&peer, &bounds, opened);
        }
        match admitted {
            Admitted::Refused(reason) | Admitted::Dropped(reason) => match reason {
                CloseReason::TooManyFromAddress => {
                    self.pressure.refused_address(&peer, &bounds, opened);
                }
                _ => self.pressure.refused(&peer, &bounds, opened),
            },
            Admitted::Served(_) => {}
        }
        if let Some(watch) = &config.watch {
            watch.opened(card.id, opened, &peer);
        }
        let span = tracing::debug_span!("connection", id = card.id, %peer);
        Account {
            ledger: self.clone(),
            watch: config.watch.clone(),
            card,
            place,
            admitted,
            evicts,
            span,
            responses: Responses::default(),
            told: None,
            listed: true,
            armed: None,
            waker: None,
        }
    }
}

impl Books {
    fn counts(&self) -> Counts {
        Counts {
            opened: self.opened,
            open: (self.cards.len() - self.free.len()) as u64,
            closed: self.closed.clone(),
            accept_errors: self.accept_errors.clone(),
        }
    }
}

impl Card {
    /// Wakes the connection's task, if it has waited yet. Always `true`.
    fn call(&self) -> bool {
        // First the word, then the call, as at a shutdown. The waker stays for that.
        let waker = lock(&self.now).waker.clone();
        waker.into_iter().for_each(Waker::wake);
        true
    }

    /// What is on it; what the connection has moved is added to `totals`.
    fn read(&self, totals: &mut Totals) -> Open {
        let now = lock(&self.now);
        totals.add(now.bytes_in, now.bytes_out, now.requests);
        totals.add_responses(&now.responses.by_class);
        Open {
            id: self.id,
            peer: self.peer,
            opened: self.opened,
            phase: now.phase,
            since: self.opened + now.since,
            heard: self.opened + now.heard,
            deadline: now.ends.at().map(|time| self.opened + time),
            ends: now.ends,
            bytes_in: now.bytes_in,
            bytes_out: now.bytes_out,
            queued: now.queued,
            requests: now.requests,
            status: now.responses.last,
        }
    }
}

/// A connection's own hold on its card.
pub(crate) struct Account {
    ledger: Ledger,
    watch: Option<Arc<dyn Watch>>,
    card: Arc<Card>,
    place: usize,
    pub(crate) admitted: Admitted,
    /// Another connection had to make room for it.
    pub(crate) evicts: bool,
    /// What everything that happens on this connection is in, for `tracing`.
    pub(crate) span: Span,
    responses: Responses,
    told: Option<(Phase, Duration)>,
    /// It is among those that make room for others.
    listed: bool,
    armed: Option<(Phase, Option<Clock>)>,
    /// The waker that is on the card.
    waker: Option<Waker>,
}

impl Account {
    /// The other end.
    pub(crate) fn peer(&self) -> &Peer {
        &self.card.peer
    }

    /// Notes what is waited for. `now` is counted from the accept, here and below.
    pub(crate) fn waits(&mut self, life: &Life, now: Duration) {
        let (phase, since, ends, entry) =
            (life.phase(), life.since(), life.deadline(), life.entry());
        {
            let mut card = lock(&self.card.now);
            if (card.bytes_in, card.bytes_out) != (entry.bytes_in, entry.bytes_out) {
                (card.bytes_in, card.bytes_out) = (entry.bytes_in, entry.bytes_out);
                card.heard = now;
            }
            (card.phase, card.since, card.ends) = (phase, since, ends);
            card.queued = life.queued();
            (card.requests, card.responses) = (entry.requests, self.responses);
        }
        if let Some(watch) = &self.watch
            && self.armed != Some((phase, ends.clock()))
        {
            self.armed = Some((phase, ends.clock()));
            let at = self.card.opened + now;
            watch.armed(self.card.id, at, phase, ends.clock());
        }
        if self.told == Some((phase, since)) {
            return;
        }
        self.told = Some((phase, since));
        // Who is being refused, in a handshake, takes no place that it could make free.
        if matches!(self.admitted, Admitted::Served(_)) && !self.makes_room() {
            let since = self.card.opened + since;
            self.listed = self
                .ledger
                .waiting
                .note(self.place, phase, since, self.listed);
        }
        match ends {
            Deadline::At { at, clock } => {
                tracing::debug!(%phase, left_s = at.saturating_sub(now).as_secs_f64(), %clock, "waits")
            }
            Deadline::Never(named) => {
                tracing::debug!(%phase, named, "waits without a deadline");
            }
        }
        if let Some(watch) = &self.watch {
            let opened = self.card.opened;
            let deadline = ends.at().map(|time| opened + time);
            watch.phase(self.card.id, opened + now, phase, deadline);
        }
    }

    /// Notes that a clock has ended the wait.
    pub(crate) fn expired(&self, phase: Phase, clock: Clock, now: Duration) {
        if let Some(watch) = &self.watch {
            watch.expired(self.card.id, self.card.opened + now, phase, clock);
        }
    }

    /// Notes bytes of the client's; `bytes` is empty if they are not kept.
    pub(crate) fn received(&self, length: usize, bytes: &[u8], now: Duration) {
        if let Some(watch) = &self.watch {
            watch.received(self.card.id, self.card.opened + now, length, bytes);
        }
    }

    /// Notes the client's FIN.
    pub(crate) fn ended(&self, now: Duration) {
        if let Some(watch) = &self.watch {
            watch.ended(self.card.id, self.card.opened + now);
        }
    }

    /// Notes bytes that the client's side took.
    pub(crate) fn sent(&self, length: u64, now: Duration) {
        if let Some(watch) = &self.watch {
            watch.sent(self.card.id, self.card.opened + now, length);
        }
    }

    /// Notes a whole head.
    pub(crate) fn requested(&self, head: &request::Parts, now: Duration) {
        tracing::debug!(method = %head.method, path = head.uri.path(), "request");
        if let Some(watch) = &self.watch {
            watch.request(self.card.id, self.card.opened + now, head);
        }
    }

    /// Notes that a response begins.
    pub(crate) fn responded(&mut self, status: u16, now: Duration) {
        tracing::debug!(status, "response");
        self.responses.last = Some(status);
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        let count = &mut self.responses.by_class[class];
        *count = count.saturating_add(1);
        if let Some(watch) = &self.watch {
            watch.response(self.card.id, self.card.opened + now, status);
        }
    }

    /// Whether the server shuts down; if not yet, `waker` is called when it does.
    pub(crate) fn is_stopping(&mut self, waker: &Waker) -> bool {
        if !self
            .waker
            .as_ref()
            .is_some_and(|known| known.will_wake(waker))
        {
            self.waker = Some(waker.clone());
            lock(&self.card.now).waker = Some(waker.clone());
        }
        self.card.stopping.load(Ordering::SeqCst)
    }

    /// How it is to make room for another connection, if it was told to.
    pub(crate) fn leave(&self) -> Option<Leave> {
        self.makes_room()
            .then(|| lock(&self.card.now).leave)
            .flatten()
    }

    /// Whether it was told to make room for another connection.
    fn makes_room(&self) -> bool {
        self.card.leaving.load(Ordering::SeqCst)
    }

    /// Closes the card. Called once, from the connection's drop.
    pub(crate) fn close(&self, reason: CloseReason, entry: &Entry, at: Instant) {
        {
            let mut books = lock(&self.ledger.books);
            if books.cards[self.place]
                .take_if(|card| card.id == self.card.id)
                .is_some()
            {
                books.free.push(self.place);
                self.ledger.waiting.remove(self.place);
                books.admission.leave(self.admitted, self.makes_room());
                let totals = &mut books.totals;
                totals.add(entry.bytes_in, entry.bytes_out, entry.requests);
                totals.add_responses(&self.responses.by_class);
                totals.add_waits(entry);
                *books.closed.entry(reason.name()).or_default() += 1;
            }
            if matches!(
                reason,
                CloseReason::TimedOut {
                    clock: Clock::Shutdown,
                    ..
                }
            ) {
                books.cut.push(self.card.read(&mut Totals::default()));
            }
        }
        tracing::debug!(
            reason = reason.name(),
            age_s = entry.closed.unwrap_or_default().as_secs_f64(),
            bytes_in = entry.bytes_in,
            bytes_out = entry.bytes_out,
            "closed"
        );
        if let Some(watch) = &self.watch {
            watch.closed(self.card.id, at, reason, entry);
        }
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.counts().fmt(f)
    }
}
