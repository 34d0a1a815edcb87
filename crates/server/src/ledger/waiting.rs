//! Connections with nothing under way, in the order in which they make room for others.

use hangup_lifecycle::Phase;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// Connections are spread over so many locks, because each takes its own at each request.
const SHARDS: usize = 16;

/// No place.
const NONE: u32 = u32::MAX;

/// Which connections go first when there is no room: between requests, before the first request,
/// within a head. No other phase is here, because then a request is in progress.
const CLASSES: usize = 3;

fn class(phase: Phase) -> Option<usize> {
    match phase {
        Phase::Idle => Some(0),
        Phase::Handshake | Phase::Opening => Some(1),
        Phase::Head => Some(2),
        Phase::Expect
        | Phase::Body
        | Phase::Handler
        | Phase::Response
        | Phase::Drain
        | Phase::Kernel
        | Phase::Linger
        | Phase::Upgrade => None,
    }
}

/// For each class, a list of the connections in it, the one that has waited longest first. Every
/// operation takes constant time. A connection is named by its place in the ledger.
#[derive(Debug)]
pub(super) struct Waiting {
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Debug, Default)]
struct Shard {
    links: Vec<Link>,
    lists: [List; CLASSES],
}

/// A connection's neighbours in its list, if it is in one.
#[derive(Clone, Copy, Debug)]
struct Link {
    listed: Option<(usize, Instant)>,
    before: u32,
    behind: u32,
}

#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    last: u32,
}

impl Default for List {
    fn default() -> Self {
        List {
            first: NONE,
            last: NONE,
        }
    }
}

impl Default for Waiting {
    fn default() -> Self {
        Waiting {
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }
}

impl Waiting {
    fn shard(&self, shard: usize) -> MutexGuard<'_, Shard> {
        // Nothing panics while it is held.
        self.shards[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection at `place` waits in `phase` since `since`, which is now. `listed` is whether it
    /// may be in a list, and what is returned whether it is.
    pub(super) fn note(&self, place: usize, phase: Phase, since: Instant, listed: bool) -> bool {
        let class = class(phase);
        if class.is_none() && !listed {
            return false;
        }
        let mut shard = self.shard(place % SHARDS);
        let at = place / SHARDS;
        shard.remove(at);
        if let Some(class) = class {
            shard.push(at, class, since);
        }
        class.is_some()
    }

    /// The connection at `place` is gone, or was told to make room.
    pub(super) fn remove(&self, place: usize) {
        self.shard(place % SHARDS).remove(place / SHARDS);
    }

    /// Takes out the place of the connection that is to make room, if there is one.
    pub(super) fn take_longest(&self) -> Option<usize> {
        for class in 0..CLASSES {
            let firsts = (0..SHARDS).filter_map(|number| {
                let shard = self.shard(number);
                let first = shard.lists[class].first;
                let (_, since) = shard.links.get(first as usize)?.listed?;
                Some((since, number))
            });
            // Meanwhile it may have got a request. Whoever is first there now has waited nearly as
            // long.
            if let Some((_, number)) = firsts.min()
                && let Some(at) = self.shard(number).take_first(class)
            {
                return Some(at * SHARDS + number);
            }
        }
        None
    }
}

impl Shard {
    fn take_first(&mut self, class: usize) -> Option<usize> {
        let first = self.lists[class].first;
        (first != NONE).then(|| {
            self.remove(first as usize);
            first as usize
        })
    }

    fn push(&mut self, at: usize, class: usize, since: Instant) {
        let unlisted = Link {
            listed: None,
            before: NONE,
            behind: NONE,
        };
        if self.links.len() <= at {
            self.links.resize(at + 1, unlisted);
        }
        let last = self.lists[class].last;
        self.links[at] = Link {
            listed: Some((class, since)),
            before: last,
            behind: NONE,
        };
        self.lists[class].last = at as u32;
        match self.links.get_mut(last as usize) {
            Some(link) => link.behind = at as u32,
            None => self.lists[class].first = at as u32,
        }
    }

    fn remove(&mut self, at: usize) {
        let Some(link) = self.links.get_mut(at) else {
            return;
        };
        let Link { before, behind, .. } = *link;
        let Some((class, _)) = link.listed.take() else {
            return;
        };
        match self.links.get_mut(before as usize) {
            Some(link) => link.behind = behind,
            None => self.lists[class].first = behind,
        }
        match self.links.get_mut(behind as usize) {
            Some(link) => link.before = before,
            None => self.lists[class].last = before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    const PHASES: [Phase; 5] = [
        Phase::Idle,
        Phase::Opening,
        Phase::Handshake,
        Phase::Head,
        Phase::Handler,
    ];

    proptest! {
        /// Against a plain list that is searched.
        #[test]
        fn the_longest_of_the_first_class_goes(steps in prop::collection::vec((0_usize..40, 0_usize..7), 1..200)) {
            let waiting = Waiting::default();
            let start = Instant::now();
            let mut model: Vec<(usize, usize, usize)> = Vec::new();
            for (time, (place, step)) in steps.into_iter().enumerate() {
                match PHASES.get(step) {
                    Some(phase) => {
                        let now = start + Duration::from_secs(time as u64);
                        let listed = waiting.note(place, *phase, now, true);
                        prop_assert_eq!(listed, class(*phase).is_some());
                        model.retain(|(_, _, other)| *other != place);
                        if let Some(class) = class(*phase) {
                            model.push((class, time, place));
                        }
                    }
                    None if step == 5 => {
                        waiting.remove(place);
                        model.retain(|(_, _, other)| *other != place);
                    }
                    None => {
                        let longest = model.iter().min().copied();
                        model.retain(|entry| Some(*entry) != longest);
                        prop_assert_eq!(waiting.take_longest(), longest.map(|(_, _, place)| place));
                    }
                }
            }
            while let Some(place) = waiting.take_longest() {
                let longest = model.iter().min().copied();
                prop_assert_eq!(Some(place), longest.map(|(_, _, place)| place));
                model.retain(|entry| Some(*entry) != longest);
            }
            prop_assert!(model.is_empty());
        }
    }
}
