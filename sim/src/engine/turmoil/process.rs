//! The server's process: it is told to shut down, it dies, and is started again.
//!
//! turmoil's crash takes the host down with everything on it, and what is sent there then is not even refused. A process
//! dies otherwise: at that instant its kernel closes what it held, and goes on until all has arrived. So the host is
//! crashed and bounced once that is done, without a server on it, until the scenario starts that again.

use super::dialer::SERVER;
use super::journal;
use super::listener::Backlog;
use super::now;
use crate::engine::process::{self, Ordered, TIMERS};
use crate::life::Down;
use crate::server::{Order, Shutdown};
use crate::trace::record;
use hangup_scenario::{Scenario, ServerAction, ServerEvent};
use std::cell::{Cell, RefCell};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Handle, Id};
use tokio::time::sleep;
use turmoil::Sim;

thread_local! {
    /// The runtime of the host on which the server's process lives.
    static SERVING: Cell<Option<Id>> = const { Cell::new(None) };
}

/// Is it the server whose code runs here? turmoil tells of no task; but only the server and its kernel run on its host.
pub(crate) fn is_server() -> bool {
    let here = Handle::try_current().ok().map(|runtime| runtime.id());
    here.is_some() && here == SERVING.get()
}

/// What becomes of the server's process, and how far that has come.
#[derive(Debug)]
pub(super) struct Fate {
    /// By time.
    events: Vec<ServerEvent>,
    /// The next of them.
    next: Cell<usize>,
    state: Cell<State>,
    /// What the server claims for a graceful shutdown.
    bound: Option<Duration>,
    instance: RefCell<Instance>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Alive,
    /// The process has died, and its kernel may still have something to send.
    Dying {
        /// In the next tick there is another one.
        again: bool,
    },
    Dead,
}

/// The process that lives, or the last one.
#[derive(Debug, Default)]
struct Instance {
    number: Option<u32>,
    order: Option<Order>,
    backlog: Arc<Backlog>,
}

impl Fate {
    pub(super) fn of(scenario: &Scenario, bound: Option<Duration>) -> Self {
        SERVING.set(None);
        Self {
            events: process::in_order(&scenario.server_events),
            next: Cell::new(0),
            state: Cell::new(State::Alive),
            bound,
            instance: RefCell::default(),
        }
    }

    /// Takes the next event, if it is there by `now`.
    fn take_next(&self, now: Duration) -> Option<ServerEvent> {
        let next = self.events.get(self.next.get()).copied();
        let next = next.filter(|event| event.at <= now)?;
        self.next.set(self.next.get() + 1);
        Some(next)
    }

    /// Nothing more will happen to it.
    pub(super) fn is_over(&self) -> bool {
        self.next.get() == self.events.len() && self.state.get() != State::Dying { again: true }
    }

    /// A process is started on the host that is running, if there is to be one: its signal to shut down.
    pub(super) fn begin(&self, backlog: &Arc<Backlog>) -> Option<Shutdown> {
        if self.state.get() != State::Alive {
            return None;
        }
        let (order, signal) = Order::new();
        SERVING.set(Some(Handle::current().id()));
        *self.instance.borrow_mut() = Instance {
            number: record(process::begins),
            order: Some(order),
            backlog: Arc::clone(backlog),
        };
        Some(signal)
    }

    /// Lets everything happen at its time, at the server's host, until the process dies.
    pub(super) async fn live(&self) {
        while let Some(event) = self.events.get(self.next.get()) {
            sleep(event.at.saturating_sub(now())).await;
            if self.state.get() != State::Alive {
                return;
            }
            if let Some(event) = self.take_next(now()) {
                record(|recorder| process::happens(recorder, now(), event.action));
                self.happen(event.action);
            }
            if self.state.get() != State::Alive {
                return;
            }
        }
        pending().await
    }

    fn happen(&self, action: ServerAction) {
        let backlog = Arc::clone(&self.instance.borrow().backlog);
        match action {
            ServerAction::Shutdown => self.shut_down(),
            ServerAction::StopAccepting => {
                backlog.close();
                record(|recorder| {
                    recorder.life.down.get_or_insert(Down::NotListening);
                });
            }
            ServerAction::AcceptError(error) => backlog.fail_accept(error),
            ServerAction::Crash => self.die(false),
            ServerAction::Restart => self.die(true),
            ServerAction::HandlerPanic => {
                record(|recorder| recorder.life.panics_due += 1);
            }
        }
    }

    fn shut_down(&self) {
        let Some(bound) = self.bound else {
            return self.die(false);
        };
        match record(|recorder| process::shuts_down(recorder, bound, TIMERS)) {
            None | Some(Ordered::Again) => {}
            Some(Ordered::Exits) => self.die(false),
            Some(Ordered::Within(time)) => {
                if let Some(order) = &self.instance.borrow().order {
                    order.give();
                }
                tokio::spawn(async move {
                    sleep(time).await;
                    if record(process::is_overdue) == Some(true) {
                        journal::tell(|recorder, _| process::look(recorder));
                    }
                });
            }
        }
    }

    /// The server's future has ended: so does its process, if it was told to shut down.
    pub(super) fn returned(&self) {
        let number = self.instance.borrow().number;
        if record(|recorder| process::returned(recorder, number)) == Some(true) {
            self.die(false);
        }
    }

    /// The process dies now: the kernel closes its sockets.
    fn die(&self, again: bool) {
        SERVING.set(None);
        self.state.set(State::Dying { again });
        record(|recorder| recorder.life.down = Some(Down::Dead));
        journal::tell(|recorder, at| recorder.ledger.killed(at));
        self.instance.borrow().backlog.kill();
    }

    /// Between two ticks: what was on the host of a dead process goes with it, and a new one is started when it is time.
    pub(super) fn follow(&self, sim: &mut Sim<'_>) {
        // Who is dead does not die again.
        while self.state.get() != State::Alive
            && let Some(event) = self.take_next(sim.elapsed())
        {
            record(|recorder| process::happens(recorder, sim.elapsed(), event.action));
            if event.action == ServerAction::Restart {
                self.state.set(State::Dying { again: true });
            }
        }
        match self.state.get() {
            State::Dying { again: true } => {
                self.state.set(State::Alive);
                sim.crash(SERVER);
                sim.bounce(SERVER);
            }
            State::Dying { again: false } if self.instance.borrow().backlog.is_over() => {
                self.state.set(State::Dead);
                sim.crash(SERVER);
                sim.bounce(SERVER);
            }
            _ => {}
        }
    }
}
