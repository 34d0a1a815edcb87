//! What a user counts in a server, and what must be back where it was when all clients are gone: sessions in a map, permits of a
//! pool, entries of a registry.

use crate::life::Residue;
use crate::trace::record;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Something that is counted in every instance of a server.
#[derive(Clone)]
pub struct Counted {
    pub(crate) name: String,
    pub(crate) count: Arc<dyn Fn() -> usize + Send + Sync>,
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Counted").field(&self.name).finish()
    }
}

/// Something that is counted in the instance of the server that runs on this thread.
struct Count {
    name: String,
    count: Rc<dyn Fn() -> usize>,
    before: usize,
}

/// Held by a run of a server with [`Counted`]s: what they look at may be shared by all its instances.
static ALONE: Mutex<()> = Mutex::new(());

/// Waits until no other run of a server with such counts is under way.
pub(crate) fn alone(counted: &[Counted]) -> Option<MutexGuard<'static, ()>> {
    let guard = || ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    (!counted.is_empty()).then(guard)
}

thread_local! {
    static COUNTS: RefCell<Vec<Count>> = const { RefCell::new(Vec::new()) };
}

/// Counts something in the instance of the server that is being started: call it in the closure that a
/// [`Bed`](crate::Bed) is given, where the server's state is made. `count` must be back at its first value when
/// the drain time of the contract has passed behind the last client; if it is not, that is a finding of
/// [`Verdict::Leftover`](hangup_scenario::Verdict) that names it. The first value is taken when the server has started, before the
/// first client.
///
/// ```
/// use hangup::Bed;
/// use hangup::net::TcpListener;
/// use std::sync::{Arc, Mutex};
///
/// type Sessions = Arc<Mutex<Vec<String>>>;
///
/// async fn serve(listener: TcpListener, sessions: Sessions) {
///     // ...
/// #   drop((listener, sessions));
/// }
///
/// let bed = Bed::new("sessions", |listener, _shutdown| {
///     let sessions = Sessions::default();
///     let counted = Arc::clone(&sessions);
///     hangup::residue("sessions", move || counted.lock().unwrap().len());
///     serve(listener, sessions)
/// });
/// # drop(bed);
/// ```
///
/// Outside of a run it does nothing. See also [`Bed::residue`](crate::Bed::residue).
pub fn residue(name: impl Into<String>, count: impl Fn() -> usize + 'static) {
    if record(|_| ()).is_some() {
        add(name.into(), Rc::new(count));
    }
}

fn add(name: String, count: Rc<dyn Fn() -> usize>) {
    let count = Count {
        name,
        count,
        before: 0,
    };
    COUNTS.with_borrow_mut(|counts| counts.push(count));
}

/// A new instance of a server starts, in which this is counted.
pub(crate) fn begins(counted: &[Counted]) {
    end();
    for Counted { name, count } in counted {
        let count = Arc::clone(count);
        add(name.clone(), Rc::new(move || count()));
    }
}

/// Nothing is counted any more on this thread.
pub(crate) fn end() {
    // Dropping a closure may run any code.
    drop(COUNTS.take());
}

/// Counts everything; a closure may use the network.
fn counted() -> Vec<usize> {
    let counts = COUNTS.with_borrow(|counts| {
        let all = counts.iter().map(|one| Rc::clone(&one.count));
        all.collect::<Vec<_>>()
    });
    counts.iter().map(|count| count()).collect()
}

/// What is counted now is what it must come back to.
pub(crate) fn take_baseline() {
    let now = counted();
    COUNTS.with_borrow_mut(|counts| {
        for (one, now) in counts.iter_mut().zip(now) {
            one.before = now;
        }
    });
}

/// What is not what it was.
pub(crate) fn differing() -> Vec<Residue> {
    let now = counted();
    let at = record(|recorder| recorder.now()).unwrap_or_default();
    COUNTS.with_borrow(|counts| {
        let all = counts.iter().zip(now);
        let differing = all.filter(|(one, now)| one.before != *now);
        let residues = differing.map(|(one, now)| Residue {
            name: one.name.clone(),
            before: one.before,
            after: now,
            at,
        });
        residues.collect()
    })
}
