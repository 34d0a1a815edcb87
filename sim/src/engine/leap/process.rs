//! The server's process in a run: started, told to shut down, killed, started again.

use super::warm::{self, Requests};
use super::{hosts, now, with_world};
use crate::contract::Contract;
use crate::engine::doze;
use crate::engine::process::{self, Ordered, TIMERS};
use crate::life::Down;
use crate::residue;
use crate::server::{Order, Server};
use crate::task::Role;
use crate::trace::record;
use hangup_network::World;
use hangup_scenario::{AcceptError, Scenario, ServerAction, ServerEvent};
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// The process that serves, in one instance after the other.
pub(super) struct Process<'a> {
    server: &'a dyn Server,
    contract: Contract,
    world: &'a World,
    /// Who visits each instance that is started again.
    visitors: Option<(Requests, Arc<Scenario>)>,
    /// Gives the shutdown signal of the instance that runs.
    order: RefCell<Option<Order>>,
}

impl<'a> Process<'a> {
    pub(super) fn of(server: &'a dyn Server, contract: Contract, world: &'a World) -> Self {
        Self {
            server,
            contract,
            world,
            visitors: None,
            order: RefCell::new(None),
        }
    }

    /// The same, and each instance that is started again is warmed up, too.
    pub(super) fn visited_by(self, requests: Requests, scenario: &Arc<Scenario>) -> Self {
        let visitors = Some((requests, Arc::clone(scenario)));
        Self { visitors, ..self }
    }

    /// Starts an instance. When this returns it has been polled once: what it has spawned by then is its own.
    pub(super) async fn start(&self) {
        let listener = hosts::listener(self.server, self.world).await;
        let (order, signal) = Order::new();
        *self.order.borrow_mut() = Some(order);
        let instance = record(|recorder| {
            recorder.tasks.spawning(Role::Server);
            process::begins(recorder)
        });
        residue::begins(self.server.residues());
        let serving = self.server.serve(listener, signal);
        tokio::spawn(async move {
            doze::may_nap(serving).await;
            if record(|recorder| process::returned(recorder, instance)) == Some(true) {
                kill();
            }
        });
        tokio::task::yield_now().await;
        if self.server.is_local() {
            // What was polled has spawned the task that serves.
            tokio::task::yield_now().await;
        }
        hosts::bound(self.server, self.world).await;
        residue::take_baseline();
        record(|recorder| {
            recorder.tasks.take_root();
            recorder.tasks.spawning(Role::Harness);
        });
    }

    /// Lets everything happen at its time, from now on.
    pub(super) async fn live(&self, events: &[ServerEvent]) {
        let from = now();
        let until = |at: Duration| from.saturating_add(at).saturating_sub(now());
        for event in process::in_order(events) {
            sleep(until(event.at)).await;
            record(|recorder| {
                let at = recorder.now();
                process::happens(recorder, at, event.action);
            });
            self.happen(event.action).await;
        }
        // What a scenario says of the server is over before a fresh client looks for damage.
        sleep(until(process::over_at(events))).await;
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
            ServerAction::AcceptError(error) => with_world(|world| match error {
                AcceptError::Once => world.fail_accept(),
                AcceptError::Lasts(lasts) => world.fail_accepts_for(lasts),
                AcceptError::UntilClose => world.fail_accepts_until_close(),
            }),
            ServerAction::Crash => kill(),
            ServerAction::Restart => {
                kill();
                self.start().await;
                if let Some((requests, scenario)) = &self.visitors {
                    warm::up_beside(requests, scenario);
                }
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
        match record(|recorder| process::shuts_down(recorder, bound, TIMERS)) {
            None | Some(Ordered::Again) => {}
            Some(Ordered::Exits) => kill(),
            Some(Ordered::Within(time)) => {
                if let Some(order) = &*self.order.borrow() {
                    order.give();
                }
                tokio::spawn(async move {
                    sleep(time).await;
                    record(|recorder| {
                        if process::is_overdue(recorder) {
                            process::look(recorder);
                        }
                    });
                });
            }
        }
    }
}

/// The process dies: the kernel closes its sockets, and its tasks are gone.
fn kill() {
    process::dies(|| with_world(|world| world.kill()));
}
