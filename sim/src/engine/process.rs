//! What the record of a run says of the server's process: started, told to shut down, dead. How any of it is done to a
//! process is each engine's own business.

use crate::finding::spell;
use crate::life::{Down, Life, ShuttingDown};
use crate::trace::{Actor, Recorder, record};
use hangup_scenario::{AcceptError, ServerAction, ServerEvent};
use std::borrow::Cow;
use std::time::Duration;

/// What a server may claim for the end of a shutdown, behind the moment at which it cuts what is left.
const CUT: Duration = Duration::from_millis(200);
/// The bound of a shutdown is the longest that it may take. A server may cut what is under way sooner, but not at once.
const GRACE_MIN: Duration = Duration::from_secs(1);
/// A server's own clock may be so much behind a simulated one: its timers fire on whole milliseconds, and one may start the next.
pub(super) const TIMERS: Duration = Duration::from_millis(10);

/// The fact of the trace hash.
const HAPPENS: u64 = 6;

/// How a server takes the order to shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ordered {
    /// It has it already.
    Again,
    /// Nothing of it runs any more, and its process exits.
    Exits,
    /// It has until this is over.
    Within(Duration),
}

/// The server's events in the order of their times.
pub(super) fn in_order(events: &[ServerEvent]) -> Vec<ServerEvent> {
    let mut events = events.to_vec();
    events.sort_by_key(|event| event.at);
    events
}

/// When the last event that lasts is over.
pub(super) fn over_at(events: &[ServerEvent]) -> Duration {
    let ends = events.iter().map(|event| match event.action {
        ServerAction::AcceptError(AcceptError::Lasts(lasts)) => event.at.saturating_add(lasts),
        _ => event.at,
    });
    ends.max().unwrap_or_default()
}

/// A new instance of the server begins; its number.
pub(super) fn begins(recorder: &mut Recorder) -> u32 {
    let life = &mut recorder.life;
    (life.down, life.returned, life.ended_with) = (None, None, None);
    life.instance += 1;
    life.instance
}

/// `action` is taken now.
pub(super) fn happens(recorder: &mut Recorder, at: Duration, action: ServerAction) {
    let (number, lasts) = numbered(action);
    recorder.mix([HAPPENS, at.as_nanos() as u64, number, lasts]);
    recorder.say(at, Actor::Server, None, || told(action));
}

/// The process dies, and with it its tasks and, by `lose_sockets`, what the system has of it.
pub(super) fn dies(lose_sockets: impl FnOnce()) {
    record(|recorder| {
        let at = recorder.now();
        recorder.life.down = Some(Down::Dead);
        recorder.ledger.killed(at);
    });
    lose_sockets();
    record(|recorder| {
        let at = recorder.now();
        for connection in recorder.tasks.killed(at) {
            recorder.ledger.task_ended(at, connection);
        }
    });
}

/// The server is told to shut down, which is to take `bound` at most, by clocks that may be so `late`.
pub(super) fn shuts_down(recorder: &mut Recorder, bound: Duration, late: Duration) -> Ordered {
    let at = recorder.now();
    let life = &mut recorder.life;
    if life.down == Some(Down::ShutDown) {
        return Ordered::Again;
    }
    recorder.ledger.told_to_shut_down();
    life.down = Some(Down::ShutDown);
    // One whose future had ended before has nothing left to wait for.
    let ended = life.returned.map(|_| at);
    life.shutdowns.push(ShuttingDown {
        asked: at,
        ended,
        at_least: at.saturating_add(bound.saturating_sub(CUT).min(GRACE_MIN)),
        due: at.saturating_add(bound + late),
        waits_for: None,
    });
    match ended {
        Some(_) => Ordered::Exits,
        None => Ordered::Within(bound + late),
    }
}

/// The time of the shutdown that is under way is up.
pub(super) fn is_overdue(recorder: &mut Recorder) -> bool {
    let now = recorder.now();
    let last = recorder.life.shutting_down();
    last.is_some_and(|last| last.due <= now && last.waits_for.is_none())
}

/// The shutdown is overdue: what does it still wait for?
pub(super) fn look(recorder: &mut Recorder) {
    let waits_for = Life::still_has(&recorder.ledger, &recorder.tasks);
    if let Some(last) = recorder.life.shutdowns.last_mut() {
        last.waits_for = Some(waits_for);
    }
}

/// The future of this instance has ended; true if that ends its process, since it was told to shut down.
pub(super) fn returned(recorder: &mut Recorder, instance: Option<u32>) -> bool {
    let at = recorder.now();
    let life = &mut recorder.life;
    if instance != Some(life.instance) || life.down == Some(Down::Dead) {
        return false;
    }
    match life.shutting_down() {
        Some(shutdown) => {
            shutdown.ended = Some(at);
            recorder.say(
                at,
                Actor::Server,
                None,
                || "has shut down, and its process exits",
            );
            true
        }
        None => {
            life.returned = Some(at);
            let with = life.ended_with.clone();
            let with = with.map_or_else(String::new, |with| format!(" {with}"));
            recorder.say(at, Actor::Server, None, || {
                format!("returns{with}, though nobody asked it to")
            });
            false
        }
    }
}

/// An action and how long it lasts, for the trace hash.
fn numbered(action: ServerAction) -> (u64, u64) {
    match action {
        ServerAction::Shutdown => (0, 0),
        ServerAction::StopAccepting => (1, 0),
        ServerAction::AcceptError(AcceptError::Once) => (2, 0),
        ServerAction::AcceptError(AcceptError::Lasts(lasts)) => (2, lasts.as_nanos() as u64),
        ServerAction::AcceptError(AcceptError::UntilClose) => (2, u64::MAX),
        ServerAction::Crash => (3, 0),
        ServerAction::Restart => (4, 0),
        ServerAction::HandlerPanic => (5, 0),
    }
}

fn told(action: ServerAction) -> Cow<'static, str> {
    let descriptors = "runs out of file descriptors";
    match action {
        ServerAction::Shutdown => "is told to shut down".into(),
        ServerAction::StopAccepting => "loses its listening socket".into(),
        ServerAction::AcceptError(AcceptError::Once) => {
            format!("{descriptors}: its next accept fails").into()
        }
        ServerAction::AcceptError(AcceptError::Lasts(lasts)) => {
            format!("{descriptors}: its accepts fail for {}", spell(lasts)).into()
        }
        ServerAction::AcceptError(AcceptError::UntilClose) => {
            format!("{descriptors}: its accepts fail until it closes a connection").into()
        }
        ServerAction::Crash => "crashes".into(),
        ServerAction::Restart => "is started again".into(),
        ServerAction::HandlerPanic => "its next handler is to panic".into(),
    }
}
