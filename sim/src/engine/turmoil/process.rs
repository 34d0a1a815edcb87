//! The server's process: it dies, and is started again.
//!
//! turmoil's crash takes the host down with everything on it, and what is sent there then is not even refused. A process
//! dies otherwise: at that instant its kernel closes what it held, and goes on. So the host is crashed and bounced
//! at once, without a server on it, until the scenario starts that again.

use super::dialer::SERVER;
use super::listener::Backlog;
use super::now;
use crate::life::Down;
use crate::trace::{Actor, record};
use hangup_scenario::{Scenario, ServerAction, ServerEvent};
use std::cell::Cell;
use std::future::pending;
use tokio::time::sleep;
use turmoil::Sim;

/// When the server's process dies and is started again, and how far that has come.
#[derive(Debug)]
pub(super) struct Fate {
    /// Crashes and restarts, by time.
    events: Vec<ServerEvent>,
    /// The next of them.
    next: Cell<usize>,
    state: Cell<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Alive,
    /// In this tick the process has died.
    Dying,
    Dead,
}

/// Is it one of those that this engine lets happen?
pub(super) fn expressed(action: ServerAction) -> bool {
    matches!(action, ServerAction::Crash | ServerAction::Restart)
}

impl Fate {
    pub(super) fn of(scenario: &Scenario) -> Self {
        let events = scenario.server_events.iter().copied();
        let mut events: Vec<_> = events.filter(|event| expressed(event.action)).collect();
        events.sort_by_key(|event| event.at);
        Self {
            events,
            next: Cell::new(0),
            state: Cell::new(State::Alive),
        }
    }

    fn next(&self) -> Option<ServerEvent> {
        self.events.get(self.next.get()).copied()
    }

    /// Nothing more will happen to it.
    pub(super) fn is_over(&self) -> bool {
        self.next().is_none() && self.state.get() != State::Dying
    }

    /// There is a process.
    pub(super) fn is_alive(&self) -> bool {
        self.state.get() == State::Alive
    }

    /// Waits, at the server's host, until the process dies: then its sockets are closed.
    pub(super) async fn die(&self, backlog: &Backlog) {
        let Some(event) = self.next() else {
            return pending().await;
        };
        sleep(event.at.saturating_sub(now())).await;
        record(|recorder| {
            let at = recorder.now();
            recorder.mix([6, at.as_nanos() as u64, event.action as u64, 0]);
            recorder.say(at, Actor::Server, None, || "its process dies");
            recorder.life.down = Some(Down::Dead);
            recorder.ledger.killed(at);
        });
        backlog.kill();
        self.state.set(State::Dying);
    }

    /// Between two ticks: what was on the host of a dead process goes with it, and a new one is started when it is time.
    pub(super) fn follow(&self, sim: &mut Sim<'_>) {
        if self.state.get() == State::Dying {
            self.state.set(State::Dead);
            sim.crash(SERVER);
            sim.bounce(SERVER);
        }
        // Who is dead does not die again.
        while self.state.get() == State::Dead
            && let Some(event) = self.next()
            && event.at <= sim.elapsed()
        {
            self.next.set(self.next.get() + 1);
            if event.action == ServerAction::Restart {
                self.state.set(State::Alive);
                record(|recorder| {
                    let at = sim.elapsed();
                    recorder.say(at, Actor::Server, None, || "is started again");
                    recorder.life.down = None;
                });
                sim.bounce(SERVER);
            }
        }
    }
}
