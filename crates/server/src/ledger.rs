//! Every connection of a server: who is there, in which phase, and how the others ended.

use crate::admission::{Admission, Admitted};
use crate::server::Config;
use crate::{Peer, Watch};
use hangup_lifecycle::{Clock, CloseReason, Entry, Phase};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;
use tokio::time::Instant;

/// The ledger of a server. Clones share it.
///
/// A connection opens its card when it begins and closes it when it is dropped, however that happens, so that
/// `opened = open + closed by each reason` holds whenever it is looked at.
#[derive(Clone)]
pub struct Ledger(Arc<Mutex<Books>>);

#[derive(Default)]
struct Books {
    opened: u64,
    closed: BTreeMap<&'static str, u64>,
    /// The open ones, each at its card's place, and the places that are free.
    cards: Vec<Option<Arc<Card>>>,
    free: Vec<usize>,
    admission: Admission,
    stopping: bool,
    /// Connections that were cut at the end of a shutdown, as they were then.
    cut: Vec<Open>,
}

/// The counts of a ledger at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counts {
    /// Connections that were opened.
    pub opened: u64,
    /// Of these, the ones that are open.
    pub open: u64,
    /// Of these, the ones that were closed, by the reason's name.
    pub closed: BTreeMap<&'static str, u64>,
}

/// What one open connection waits for.
#[derive(Clone, PartialEq, Debug)]
pub struct Open {
    /// Its number, from 1 in the order of their accepts.
    pub id: u64,
    /// The other end.
    pub peer: Peer,
    /// When it was accepted.
    pub opened: Instant,
    /// What it waits for.
    pub phase: Phase,
    /// Since when.
    pub since: Instant,
    /// Until when; `None` if this was made unbounded.
    pub deadline: Option<Instant>,
}

/// One open connection's card in the books.
pub(crate) struct Card {
    id: u64,
    peer: Peer,
    opened: Instant,
    stopping: AtomicBool,
    now: Mutex<Now>,
}

struct Now {
    phase: Phase,
    since: Instant,
    deadline: Option<Instant>,
    /// The task, to be told of a shutdown.
    waker: Option<Waker>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while one of these is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Ledger(Arc::default())
    }

    /// How many connections there are and were.
    pub fn counts(&self) -> Counts {
        let books = lock(&self.0);
        Counts {
            opened: books.opened,
            open: (books.cards.len() - books.free.len()) as u64,
            closed: books.closed.clone(),
        }
    }

    /// The open connections, oldest first.
    pub fn open(&self) -> Vec<Open> {
        let mut cards: Vec<_> = lock(&self.0).cards.iter().flatten().cloned().collect();
        cards.sort_unstable_by_key(|card| card.id);
        cards.iter().map(|card| card.read()).collect()
    }

    /// Tells every connection, also those that come yet, that the server shuts down.
    pub(crate) fn stop(&self) {
        let cards: Vec<_> = {
            let mut books = lock(&self.0);
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
        std::mem::take(&mut lock(&self.0).cut)
    }

    /// Opens the card of a connection, and says whether it is to be served.
    pub(crate) fn enter(&self, peer: Peer, opened: Instant, config: &Config) -> Account {
        let (card, place, admitted) = {
            let mut books = lock(&self.0);
            let admitted = books.admission.enter(&peer, &config.limits);
            books.opened += 1;
            let now = Now {
                phase: Phase::Opening,
                since: opened,
                deadline: None,
                waker: None,
            };
            let card = Arc::new(Card {
                id: books.opened,
                peer,
                opened,
                stopping: AtomicBool::new(books.stopping),
                now: Mutex::new(now),
            });
            let place = books.free.pop().unwrap_or_else(|| {
                books.cards.push(None);
                books.cards.len() - 1
            });
            books.cards[place] = Some(card.clone());
            (card, place, admitted)
        };
        if let Some(watch) = &config.watch {
            watch.opened(card.id, opened, &peer);
        }
        Account {
            ledger: self.clone(),
            watch: config.watch.clone(),
            card,
            place,
            admitted,
            told: None,
            waker: None,
        }
    }
}

impl Card {
    fn read(&self) -> Open {
        let now = lock(&self.now);
        Open {
            id: self.id,
            peer: self.peer,
            opened: self.opened,
            phase: now.phase,
            since: now.since,
            deadline: now.deadline,
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
    told: Option<(Phase, Duration)>,
    /// The waker that is on the card.
    waker: Option<Waker>,
}

impl Account {
    /// The other end.
    pub(crate) fn peer(&self) -> &Peer {
        &self.card.peer
    }

    /// Notes what is waited for. `since` is counted from the accept.
    pub(crate) fn waits(
        &mut self,
        phase: Phase,
        since: Duration,
        deadline: Option<Instant>,
        at: Instant,
    ) {
        let began = self.card.opened + since;
        {
            let mut now = lock(&self.card.now);
            (now.phase, now.since, now.deadline) = (phase, began, deadline);
        }
        if let Some(watch) = &self.watch
            && self.told != Some((phase, since))
        {
            self.told = Some((phase, since));
            watch.phase(self.card.id, at, phase, deadline);
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

    /// Closes the card. Called once, from the connection's drop.
    pub(crate) fn close(&self, reason: CloseReason, entry: &Entry, at: Instant) {
        {
            let mut books = lock(&self.ledger.0);
            if books.cards[self.place]
                .take_if(|card| card.id == self.card.id)
                .is_some()
            {
                books.free.push(self.place);
                books.admission.leave(self.admitted);
                *books.closed.entry(reason.name()).or_default() += 1;
            }
            if matches!(
                reason,
                CloseReason::TimedOut {
                    clock: Clock::Shutdown,
                    ..
                }
            ) {
                books.cut.push(self.card.read());
            }
        }
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
