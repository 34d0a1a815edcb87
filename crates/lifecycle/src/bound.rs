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
    /// From accept to the end, whatever anyone does. An upgraded connection has [`Limits::upgrade`] on top.
    pub residence: Span,
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
        let response = silence(&self.response, self.response.total);
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
        let residence = self.age.then(linger.total);
        let gone = response.max(bye).max(self.half_close).min(residence);
        Bound {
            residence,
            // Behind any of them our last bytes and our FIN may wait for a client that was ahead of its rate before.
            silence: longest.then(response).min(residence),
            // The response under way, or the last word and the linger behind it.
            gone,
            vanished: response.max(self.vanished).min(residence),
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
            silence,
            gone,
            vanished,
        } = self;
        write!(
            f,
            "bound      a client can hold a connection for {residence}; {silence} after its last byte; {gone} after its close; {vanished} after its host is gone"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_defaults_give_eleven_minutes_of_silence() {
        let bound = Limits::default().bound();
        assert_eq!(bound.residence, Span::of(Duration::from_secs(3605)));
        assert_eq!(bound.silence, Span::seconds(675));
        assert_eq!(bound.gone, Span::seconds(600));
        assert_eq!(bound.vanished, Span::seconds(600));
        assert_eq!(
            bound.to_string(),
            "bound      a client can hold a connection for 1h 5s; 11m 15s after its last byte; 10m after its close; 10m after its host is gone"
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
