//! Every byte offset of an exchange x every way to break it off.

use super::walk::Cases;
use hangup_scenario::{Await, Head, Piece, Scenario, Send, Step, Until};
use std::time::Duration;

/// What a client does in the middle of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// It closes: FIN, or RST if it has not read everything.
    Fin,
    /// It resets the connection.
    Reset,
    /// It says and reads nothing any more, and stays.
    Stall,
    /// It half-closes, and stays.
    HalfClose,
    /// Its host is gone.
    Vanish,
    /// It says a whole request, as if nothing were missing.
    NextRequest,
}

/// Every cut.
pub const CUTS: [Cut; 6] = [
    Cut::Fin,
    Cut::Reset,
    Cut::Stall,
    Cut::HalfClose,
    Cut::Vanish,
    Cut::NextRequest,
];

/// As long as the incident that it began with.
const SILENCE: Duration = Duration::from_secs(1757 * 60);

impl Cut {
    /// The name in titles.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fin => "fin",
            Self::Reset => "reset",
            Self::Stall => "stall",
            Self::HalfClose => "half-close",
            Self::Vanish => "vanish",
            Self::NextRequest => "next-request",
        }
    }

    fn steps(self) -> Vec<Step> {
        match self {
            Self::Fin => vec![Step::Close],
            Self::Reset => vec![Step::Reset],
            Self::Stall => vec![Step::Stall { duration: SILENCE }],
            Self::HalfClose => vec![Step::HalfClose],
            Self::Vanish => vec![Step::Vanish],
            Self::NextRequest => vec![
                Step::Send(Send::from(Piece::Head(Head::default()))),
                Step::Await(Await {
                    until: Until::Final,
                    within: Duration::from_secs(2),
                }),
            ],
        }
    }
}

/// A place at which an exchange can be broken off: so many bytes of this step of this client have been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    client: usize,
    step: usize,
    bytes: u64,
    /// Bytes of the client before, all steps together.
    offset: u64,
}

/// An exchange with every place at which it can be broken off.
#[derive(Debug)]
pub struct Sweep {
    exchange: Scenario,
    places: Vec<Place>,
}

impl Sweep {
    /// Each client of the exchange is broken off at each of its bytes, and before and behind each of its steps, while the
    /// others do all that they do.
    pub fn of(exchange: Scenario) -> Self {
        let mut places = Vec::new();
        for (client, data) in exchange.clients.iter().enumerate() {
            let mut offset = 0;
            for (step, what) in data.steps.iter().enumerate() {
                let bytes = match what {
                    Step::Send(send) => send.len(),
                    // Before the first connection there is nothing to break off.
                    Step::Connect if step == 0 => continue,
                    _ => 1,
                };
                let sends = matches!(what, Step::Send(_));
                places.extend((0..bytes).map(|bytes| Place {
                    client,
                    step,
                    bytes,
                    offset: offset + bytes,
                }));
                offset += if sends { bytes } else { 0 };
            }
            places.push(Place {
                client,
                step: data.steps.len(),
                bytes: 0,
                offset,
            });
        }
        Self { exchange, places }
    }

    /// At how many places it is broken off.
    pub fn places(&self) -> usize {
        self.places.len()
    }
}

impl Cases for Sweep {
    fn count(&self) -> u64 {
        (self.places.len() * CUTS.len()) as u64
    }

    fn scenario(&self, index: u64) -> Scenario {
        let index = index as usize;
        let (place, cut) = (self.places[index / CUTS.len()], CUTS[index % CUTS.len()]);
        let mut scenario = self.exchange.clone();
        let steps = &mut scenario.clients[place.client].steps;
        let broken = steps.get(place.step).cloned();
        steps.truncate(place.step);
        if let Some(Step::Send(send)) = broken
            && place.bytes > 0
        {
            let from = send.part.map_or(0, |(from, _)| from);
            steps.push(Step::Send(Send {
                part: Some((from, from + place.bytes)),
                ..send
            }));
        }
        steps.extend(cut.steps());
        let mut name = self.exchange.name.clone();
        if self.exchange.clients.len() > 1 {
            name += &format!("-client{}", place.client);
        }
        scenario.name = format!("{name}-{}-{}-{}", place.offset, place.step, cut.name());
        scenario.title = format!(
            "{} after {} bytes, at step {} of client {}",
            cut.name(),
            place.offset,
            place.step,
            place.client
        );
        scenario.source = format!("hangup sweep {}", self.exchange.name);
        scenario
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::exchange;
    use std::collections::HashSet;

    /// All bytes that a client sends.
    fn bytes(scenario: &Scenario) -> Vec<u8> {
        let mut bytes = Vec::new();
        for step in &scenario.clients[0].steps {
            if let Step::Send(send) = step {
                send.render(&mut bytes);
            }
        }
        bytes
    }

    #[test]
    fn every_offset_is_cut_in_every_way() {
        for exchange in &exchange::ALL {
            let whole = exchange.scenario();
            let all = bytes(&whole);
            let sweep = Sweep::of(whole);
            let mut offsets = HashSet::new();
            let mut names = HashSet::new();
            for index in 0..sweep.count() {
                let cut = CUTS[index as usize % CUTS.len()];
                let scenario = sweep.scenario(index);
                let sent = bytes(&scenario);
                let place = sweep.places[index as usize / CUTS.len()];
                let (kept, rest) = sent.split_at(place.offset as usize);
                assert_eq!(kept, &all[..kept.len()], "{}", scenario.name);
                assert_eq!(rest.is_empty(), cut != Cut::NextRequest);
                offsets.insert((kept.len(), cut.name()));
                names.insert(scenario.name);
            }
            assert_eq!(offsets.len(), (all.len() + 1) * CUTS.len());
            assert_eq!(names.len() as u64, sweep.count());
        }
    }
}
