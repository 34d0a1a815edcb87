//! The server's process in a run: started, told to shut down, killed, started again.

use super::{ADDRESS, now, with_world};
use crate::contract::Contract;
use crate::life::{Down, Life, ShuttingDown};
use crate::server::{Order, Server};
use crate::task::Role;
use crate::trace::{Actor, Recorder, record};
use crate::transport::Listener;
use hangup_network::TcpListener;
use hangup_scenario::{ServerAction, ServerEvent};
use std::cell::RefCell;
use std::time::Duration;
use tokio::time::sleep;

/// What a server may claim for the end of a shutdown, behind the moment at which it cuts what is left.
const CUT: Duration = Duration::from_millis(200);
/// A server's own clock may be so much behind ours: its timers fire on whole milliseconds, and one may start the next.
const TIMERS: Duration = Duration::from_millis(10);

/// The process that serves, in one instance after the other.
pub(super) struct Process<'a> {
    server: &'a dyn Server,
    contract: Contract,
    /// Gives the shutdown signal of the instance that runs.
    order: RefCell<Option<Order>>,
}

impl<'a> Process<'a> {
    pub(super) fn of(server: &'a dyn Server, contract: Contract) -> Self {
        Self {
            server,
            contract,
            order: RefCell::new(None),
        }
    }

    /// Starts an instance. When this returns it has been polled once: what it has spawned by then is its own.
    pub(super) async fn start(&self) {
        let listener = TcpListener::bind(ADDRESS)
            .await
            .expect("only this process binds, and its last instance is dead");
        let (order, signal) = Order::new();
        *self.order.borrow_mut() = Some(order);
        let instance = record(|recorder| {
            recorder.tasks.spawning(Role::Server);
            let life = &mut recorder.life;
            (life.down, life.returned) = (None, None);
            life.instance += 1;
            life.instance
        });
        let serving = self.server.serve(Listener::Leap(listener), signal);
        tokio::spawn(async move {
            serving.await;
            if record(|recorder| returned(recorder, instance)) == Some(true) {
                kill();
            }
        });
        tokio::task::yield_now().await;
        record(|recorder| {
            recorder.tasks.take_root();
            recorder.tasks.spawning(Role::Harness);
        });
    }

    /// Lets everything happen at its time.
    pub(super) async fn live(&self, events: &[ServerEvent]) {
        let mut events = events.to_vec();
        events.sort_by_key(|event| event.at);
        for event in events {
            sleep(event.at.saturating_sub(now())).await;
            record(|recorder| {
                let at = recorder.now();
                recorder.mix([6, at.as_nanos() as u64, event.action as u64, 0]);
                recorder.say(at, Actor::Server, None, || told(event.action));
            });
            self.happen(event.action).await;
        }
    }

    async fn happen(&self, action: ServerAction) {
        let down = record(|recorder| recorder.life.down).flatten();
        match action {
            _ if down == Some(Down::Dead) && action != ServerAction::Restart => {}
            ServerAction::Shutdown => self.shut_down(),
            ServerAction::StopAccepting => {
                with_world(|world| world.stop_listening());
                record(|recorder| {
                    recorder.life.down.get_or_insert(Down::NotListening);
                });
            }
            ServerAction::AcceptError => with_world(|world| world.fail_accept()),
            ServerAction::Crash => kill(),
            ServerAction::Restart => {
                kill();
                self.start().await;
            }
            ServerAction::HandlerPanic => {
                record(|recorder| recorder.life.panics_due += 1);
            }
        }
    }

    fn shut_down(&self) {
        let Some(bound) = self.contract.shutdown else {
            return kill();
        };
        let exits = record(|recorder| {
            let at = recorder.now();
            let life = &mut recorder.life;
            if life.down == Some(Down::ShutDown) {
                return false;
            }
            life.down = Some(Down::ShutDown);
            // One whose future had ended before has nothing left to wait for.
            let ended = life.returned.map(|_| at);
            life.shutdowns.push(ShuttingDown {
                asked: at,
                ended,
                at_least: at.saturating_add(bound.saturating_sub(CUT)),
                due: at.saturating_add(bound + TIMERS),
                waits_for: None,
            });
            ended.is_some()
        });
        if exits == Some(true) {
            return kill();
        }
        if let Some(order) = &*self.order.borrow() {
            order.give();
        }
        tokio::spawn(async move {
            sleep(bound + TIMERS).await;
            record(look);
        });
    }
}

/// The time of a shutdown is up: what does it still wait for?
fn look(recorder: &mut Recorder) {
    let now = recorder.now();
    let waits_for = Life::still_has(&recorder.ledger, &recorder.tasks);
    if let Some(last) = recorder.life.shutting_down()
        && last.due <= now
        && last.waits_for.is_none()
    {
        last.waits_for = Some(waits_for);
    }
}

/// The server's future has ended; true if that ends its process, since it was told to shut down.
fn returned(recorder: &mut Recorder, instance: Option<u32>) -> bool {
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
            recorder.say(
                at,
                Actor::Server,
                None,
                || "returns, though nobody asked it to",
            );
            false
        }
    }
}

/// The process dies: the kernel closes its sockets, and its tasks are gone.
fn kill() {
    record(|recorder| {
        let at = recorder.now();
        recorder.life.down = Some(Down::Dead);
        recorder.ledger.killed(at);
    });
    with_world(|world| world.kill());
    record(|recorder| {
        let at = recorder.now();
        for connection in recorder.tasks.killed(at) {
            recorder.ledger.task_ended(at, connection);
        }
    });
}

fn told(action: ServerAction) -> &'static str {
    match action {
        ServerAction::Shutdown => "is told to shut down",
        ServerAction::StopAccepting => "loses its listening socket",
        ServerAction::AcceptError => "runs out of file descriptors: its next accept fails",
        ServerAction::Crash => "crashes",
        ServerAction::Restart => "is started again",
        ServerAction::HandlerPanic => "its next handler is to panic",
    }
}
