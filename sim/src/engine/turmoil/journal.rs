//! The facts of a run, in the order of simulated time.
//!
//! turmoil lets one host after the other run for a whole tick. So what happens is noted with its time, and goes to the
//! recorder between two ticks, sorted: within a tick no host can learn of another one's doings, since
//! nothing travels in less than a tick.

use crate::trace::Recorder;
use hangup_network::{ConnectionId, Event};
use std::cell::RefCell;
use std::time::Duration;

struct Fact {
    at: Duration,
    what: What,
}

enum What {
    /// Something happened on a connection.
    Network {
        id: ConnectionId,
        /// Without its bytes.
        event: Event<'static>,
        bytes: Vec<u8>,
    },
    /// Something that looks at what has happened before.
    Other(Box<Told>),
}

type Told = dyn FnOnce(&mut Recorder, Duration);

#[derive(Default)]
struct Journal {
    facts: Vec<Fact>,
    connections: u32,
}

thread_local! {
    static JOURNAL: RefCell<Journal> = RefCell::default();
}

/// Simulated time at the host that is running; none between the ticks and when the simulation is torn down.
pub(super) fn now() -> Option<Duration> {
    ::turmoil::sim_elapsed()
}

/// A new run begins on this thread.
pub(super) fn clear() {
    JOURNAL.take();
}

/// The number of the next connection.
pub(super) fn number() -> ConnectionId {
    JOURNAL.with_borrow_mut(|journal| {
        journal.connections += 1;
        ConnectionId(journal.connections)
    })
}

/// `event` happened now. For `Arrived` and `Discarded`, which are given without them, `bytes` are the payload.
pub(super) fn note(id: ConnectionId, event: Event<'static>, bytes: &[u8]) {
    let Some(at) = now() else { return };
    JOURNAL.with_borrow_mut(|journal| {
        // What arrives in one direction at one instant is one event, however it was cut.
        if !bytes.is_empty()
            && let Some(Fact {
                at: before,
                what:
                    What::Network {
                        id: of,
                        event: last,
                        bytes: more,
                    },
            }) = journal.facts.last_mut()
            && (*before, *of, *last) == (at, id, event)
        {
            more.extend_from_slice(bytes);
            return;
        }
        let bytes = bytes.to_vec();
        let what = What::Network { id, event, bytes };
        journal.facts.push(Fact { at, what });
    });
}

/// Does `what` when everything is in the record that happened before now.
pub(super) fn tell(what: impl FnOnce(&mut Recorder, Duration) + 'static) {
    let Some(at) = now() else { return };
    let what = What::Other(Box::new(what));
    JOURNAL.with_borrow_mut(|journal| journal.facts.push(Fact { at, what }));
}

/// Hands everything that was noted to the recorder; false if that was nothing.
pub(super) fn hand_over(recorder: &mut Recorder) -> bool {
    let mut facts = JOURNAL.with_borrow_mut(|journal| std::mem::take(&mut journal.facts));
    facts.sort_by_key(|fact| fact.at);
    let any = !facts.is_empty();
    for Fact { at, what } in facts {
        match what {
            What::Network { id, event, bytes } => {
                let bytes = &bytes[..];
                let event = match event {
                    Event::Arrived { to, .. } => Event::Arrived { to, bytes },
                    Event::Discarded { to, .. } => Event::Discarded { to, bytes },
                    event => event,
                };
                recorder.network_at(at, id, &event);
            }
            What::Other(what) => what(recorder, at),
        }
    }
    any
}
