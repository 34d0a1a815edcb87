//! What tasks of the server repeat. A task that ticks (metrics that are flushed, a pool that is reaped) would keep the clock
//! of a run from leaping. So each task has a rhythm: how often in a row it has been polled at one distance of time, with
//! nothing at all happening at those instants. After so many such beats it *dozes*, if the engine can do that: it is
//! never polled again. A task that the engine has spawned itself *naps* instead: this beat is left out, so that its timer is
//! not set again, and whatever else wakes it has it polled as before.
//!
//! A run in which a task dozed or napped says nothing against a server: see [`Cell`](crate::cell::Cell).

use super::{Role, Task, Tasks};
use std::time::Duration;
use tokio::task::Id;

/// What has had so many beats in a row goes on like that.
const BEATS_FOR_EVER: u32 = 1_000;
/// Where tasks may doze, a run ends when one that must not has had so many.
const BEATS_RESTLESS: u32 = 50_000;
/// The same for one that napped through more than this: a `tokio::time::Interval` makes up for every beat.
const BEATS_NAPPED: u128 = 1_000_000;

/// What becomes of a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poll {
    /// It takes place.
    Takes,
    /// It is left out; the task's wrapper returns `Pending`.
    Naps,
    /// It is left out, and so are all that would follow.
    Dozes,
}

/// When tasks doze.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doze {
    /// After so many beats.
    pub after: u32,
    /// Only those that were there before the first client, or are declared as background: of others there is something to
    /// be said.
    pub only_roots: bool,
    /// Those, too, that wait for connections or serve several: no client comes any more.
    pub acceptors: bool,
}

/// The beats of one task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rhythm {
    /// The last instant at which it was polled.
    at: Duration,
    /// The distance of the last two.
    period: Duration,
    /// So many in a row had that distance, and nothing happened at them.
    beats: u32,
    /// Nothing has happened at the last one so far.
    idle: bool,
    /// It was not polled at the last one, and has not been since.
    dozes: bool,
    /// It is in a wrapper that can leave out a single poll.
    can_nap: bool,
}

impl Rhythm {
    /// Of a task that is spawned at this time.
    pub(super) fn new(at: Duration) -> Self {
        Self {
            at,
            period: Duration::ZERO,
            beats: 0,
            idle: false,
            dozes: false,
            can_nap: false,
        }
    }

    /// How many beats were left out by `now`.
    fn napped(&self, now: Duration) -> u128 {
        now.saturating_sub(self.at).as_nanos() / self.period.as_nanos().max(1)
    }

    /// The task is polled; false if that is part of the last beat.
    fn beats(&mut self, now: Duration) -> bool {
        if now == self.at {
            return false;
        }
        let distance = now.saturating_sub(self.at);
        let again = self.idle && distance == self.period;
        self.beats = match again {
            true => self.beats + 1,
            false => 0,
        };
        (self.at, self.period, self.idle) = (now, distance, true);
        true
    }
}

impl Task {
    /// It repeats itself for ever, as far as was seen in a run that ended then, with this period.
    pub fn repeats(&self, end: Duration) -> Option<Duration> {
        let Rhythm {
            at,
            dozes,
            beats,
            period,
            ..
        } = self.rhythm;
        let goes_on = beats >= BEATS_FOR_EVER && at.saturating_add(period) >= end;
        (dozes || goes_on).then_some(period)
    }
}

/// What happens in a run, instant by instant.
#[derive(Debug, Default)]
pub(super) struct Instants {
    /// Tasks dozed.
    dozed: u32,
    doze: Option<Doze>,
    /// One repeats itself without end, and must not doze.
    restless: bool,
    /// The last instant at which a task of the server was polled.
    now: Duration,
    /// Something has happened at it.
    stirred: bool,
    /// The places of the tasks that were polled at it.
    polled: Vec<u32>,
}

impl Instants {
    fn reach(&mut self, now: Duration) {
        if now > self.now {
            (self.now, self.stirred) = (now, false);
            self.polled.clear();
        }
    }
}

impl Tasks {
    /// Tasks doze from now on, as `doze` has it; those of dead processes after some polls.
    pub(crate) fn may_doze(&mut self, doze: Doze) {
        self.instants.doze = Some(doze);
    }

    pub(super) fn doze_in_search(&mut self, beats: u32) {
        if let Some(doze) = &mut self.instants.doze {
            doze.only_roots |= doze.after > beats;
            doze.acceptors = true;
            doze.after = doze.after.min(beats);
        }
    }

    /// Can tasks doze?
    pub(super) fn can_doze(&self) -> bool {
        self.instants.doze.is_some()
    }

    /// Something happens at `at`, or at the instant of the last poll, that others can see: what was polled then does not
    /// merely repeat itself.
    pub(super) fn stir(&mut self, at: Option<Duration>) {
        if let Some(at) = at {
            self.instants.reach(at);
        }
        if std::mem::replace(&mut self.instants.stirred, true) {
            return;
        }
        for place in self.instants.polled.drain(..) {
            self.list[place as usize].rhythm.idle = false;
        }
    }

    /// The task can leave out single polls.
    pub(crate) fn can_nap(&mut self, id: Id) {
        if let Some(&place) = self.index.get(&id) {
            self.list[place as usize].rhythm.can_nap = true;
        }
    }

    /// The server's task at `place` is about to be polled.
    pub(super) fn beat(&mut self, place: u32, now: Duration) -> Poll {
        let instants = &mut self.instants;
        instants.reach(now);
        let task = &mut self.list[place as usize];
        let rhythm = &mut task.rhythm;
        if rhythm.dozes && rhythm.napped(now) > BEATS_NAPPED {
            self.restless(now);
            return Poll::Takes;
        }
        rhythm.dozes = false;
        if !rhythm.beats(now) {
            return Poll::Takes;
        }
        match instants.stirred {
            true => rhythm.idle = false,
            false => instants.polled.push(place),
        }
        let Some(doze) = instants.doze else {
            return Poll::Takes;
        };
        if rhythm.beats < doze.after {
            return Poll::Takes;
        }
        if rhythm.can_nap {
            // At an instant at which something happens, that may be what has woken it.
            if instants.stirred {
                return Poll::Takes;
            }
            rhythm.dozes = true;
            instants.dozed += 1;
            return Poll::Naps;
        }
        // What waits for connections, or serves several, is woken by others, too.
        let serves = (task.accepts || task.shared) && !doze.acceptors;
        let is_root = task.root || task.background || task.role == Role::Peer;
        if serves || doze.only_roots && !is_root {
            if serves && rhythm.beats == BEATS_RESTLESS {
                self.restless(now);
            }
            return Poll::Takes;
        }
        rhythm.dozes = true;
        instants.dozed += 1;
        Poll::Dozes
    }

    fn restless(&mut self, now: Duration) {
        self.instants.restless = true;
        self.exhausted.get_or_insert(now);
        self.wake_guard();
    }

    /// The run was ended since a task that was to doze by now must not, or had napped for too long: it would have gone on.
    pub(crate) fn is_restless(&self) -> bool {
        self.instants.restless
    }

    /// How many tasks dozed: those of dead processes do not count.
    pub(crate) fn dozed(&self) -> u32 {
        self.instants.dozed
    }

    /// The shortest period of all that repeats for ever in the server or a host that it calls, in a run that ended then.
    pub fn shortest_period(&self, end: Duration) -> Option<Duration> {
        let alive = self.list.iter();
        let alive = alive.filter(|task| task.role != Role::Harness && task.ended.is_none());
        alive.filter_map(|task| task.repeats(end)).min()
    }
}
