//! What follows from the limits: how long a client can hold a connection, whatever it does.

use crate::{Limits, Rate, Span, Transfer};
use std::fmt;

/// The longest that a connection can be held, computed from [`Limits`]. The test bed holds every run against it.
///
/// The application's own time is in `residence`, and not in the other two: those speak of what the *client*
/// does or fails to do. What an application may take before it answers is [`Limits::handler`]; a response that it has begun and
/// says nothing in (an event stream) is bounded by the age.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bound {
    /// From accept to the end, whatever anyone does. An upgraded connection has [`Limits::upgrade`] on
    /// top, and a response the time that its bytes take at `rate`.
    pub residence: Span,
    /// The least rate at which the client takes a response that makes the connection live longer.
    /// Unbounded if no response does.
    pub rate: Rate,
    /// From the client's last useful byte, sent or read, to the end, if nothing is ever heard of it again.
    pub silence: Span,
    /// From the arrival of the client's FIN to the end, if it reads nothing more. A reset ends a connection at once.
    pub gone: Span,
    /// From the moment that the client's host is gone without a trace to the end. Found by keepalive probes while no byte
    /// waits for it, else by the clocks of the response. It needs a stream that probes, as TCP does.
    pub vanished: Span,
}

impl Limits {
    /// The longest that any client can hold a connection under these limits.
    pub fn bound(&self) -> Bound {
        let Limits { drain, linger, .. } = self;
        // A silent peer has the gap, one that is heard of the total.
        let bye = linger.gap.min(linger.total);
        let paced = self.response.is_paced();
        let response = match paced {
            true => self.response.gap,
            false => silence(&self.response, self.response.total),
        };
        // What was sent before pays for time, up to all of the body.
        let body_extra = Span::of(self.body.rate.time_for(self.body_bytes));
        let body = silence(&self.body, self.body.total.then(body_extra))
            .min(self.read)
            .then(bye);
        let waits = [
            self.handshake,
            self.opening.min(self.read),
            self.head.min(self.read).then(bye),
            self.expect
                .min(body_without_a_byte(self))
                .min(self.read)
                .then(bye),
            body,
            bye,
            drain.total.then(bye),
            self.idle,
        ];
        let longest = waits.into_iter().fold(Span::seconds(0), Span::max);
        // The wait that begins just before the age is over has the grace of the rate.
        let residence = self
            .age
            .then(Span::of(self.response.rate.grace()))
            .then(linger.total);
        // While bytes wait for it, a client that falls silent has the gap whatever the age is.
        let last = match paced {
            true => residence.then(response),
            false => residence,
        };
        let gone = response.max(bye).max(self.half_close).min(last);
        Bound {
            residence,
            rate: match paced {
                true => self.response.rate,
                false => Rate::unbounded("the age counts all time"),
            },
            // Behind any of them our last bytes and our FIN may wait for a client that was ahead of its rate before.
            silence: longest.then(response).min(last),
            // The response under way, or the last word and the linger behind it.
            gone,
            vanished: response.max(self.vanished).min(last),
        }
    }
}

/// The longest wait for a peer that moves nothing. Without a gap clock, the rate's credit is as long as what was moved.
fn silence(transfer: &Transfer, total: Span) -> Span {
    transfer.gap.min(total)
}

fn body_without_a_byte(limits: &Limits) -> Span {
    let grace = |rate: Rate| {
        rate.pays_for(0)
            .map_or(Span::unbounded(rate.name().unwrap_or_default()), Span::of)
    };
    grace(limits.body.rate)
        .min(limits.body.gap)
        .min(limits.body.total)
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bound {
            residence,
            rate,
            silence,
            gone,
            vanished,
        } = self;
        write!(
            f,
            "bound      a client can hold a connection for {residence}"
        )?;
        if let Some(rate) = rate.per_second() {
            write!(f, " and what its last response takes at {rate} B/s")?;
        }
        write!(
            f,
            "; {silence} after its last byte; {gone} after its close; {vanished} after its host is gone"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_defaults_give_21_minutes_of_silence() {
        let bound = Limits::default().bound();
        assert_eq!(bound.residence, Span::of(Duration::from_secs(3610)));
        assert_eq!(bound.silence, Span::seconds(1275));
        assert_eq!(bound.gone, Span::seconds(1200));
        assert_eq!(bound.vanished, Span::seconds(1200));
        assert_eq!(
            bound.to_string(),
            "bound      a client can hold a connection for 1h 10s and what its last response takes at 240 B/s; 21m 15s after its last byte; 20m after its close; 20m after its host is gone"
        );
    }

    #[test]
    fn the_articles_remedy_bounds_silence_and_not_residence() {
        let bound = Limits::article().bound();
        assert_eq!(bound.silence, Span::seconds(360));
        assert_eq!(bound.residence.name(), Some("not in the article's remedy"));
    }

    #[test]
    fn what_is_unbounded_says_so_by_name() {
        let shown = Limits::unbounded().to_string();
        assert!(
            shown.contains("body       rate unbounded (as fasthttp's defaults)"),
            "{shown}"
        );
        assert!(
            shown.contains("unbounded (as fasthttp's defaults) after its close"),
            "{shown}"
        );
    }
}
