//! The server's process: started, told to shut down, killed, started again. Its tasks are of this process, and go on when it
//! dies; but what they have in hand is closed.

use super::descriptor::Descriptor;
use super::stream::{Listening, Port};
use super::{Listener, book, now};
use crate::contract::Contract;
use crate::engine::descriptors::Descriptors;
use crate::engine::process::{self, Ordered};
use crate::life::Down;
use crate::server::{Order, Server};
use crate::task::Role;
use crate::trace::{lasts, record};
use crate::transport;
use hangup_scenario::{Scenario, ServerAction, ServerEvent};
use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// The process that serves, in one instance after the other.
pub(super) struct Process<'a> {
    server: &'a dyn Server,
    contract: Contract,
    scenario: &'a Scenario,
    /// How late the machine itself may be, in the run's time.
    tolerance: Duration,
    port: Port,
    instance: RefCell<Option<Instance>>,
}

/// What the engine has of the process that runs.
struct Instance {
    order: Order,
    listener: Descriptor<Listening>,
    descriptors: Arc<Descriptors>,
}

impl<'a> Process<'a> {
    pub(super) fn of(
        server: &'a dyn Server,
        contract: Contract,
        scenario: &'a Scenario,
        tolerance: Duration,
    ) -> io::Result<Self> {
        Ok(Self {
            server,
            contract,
            scenario,
            tolerance,
            port: Port::any()?,
            instance: RefCell::default(),
        })
    }

    /// Where its instances listen.
    pub(super) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Starts an instance. When this returns the server has been polled once:
    /// what it has spawned by then is its own.
    pub(super) async fn start(&self) -> io::Result<()> {
        let descriptors = Descriptors::new(self.scenario.server.descriptors);
        let network = &self.scenario.network;
        let listener = Listener::bind(&self.port, network, Arc::clone(&descriptors))?;
        let (order, signal) = Order::new();
        let descriptor = listener.descriptor();
        self.instance.replace(Some(Instance {
            order,
            listener: descriptor.clone(),
            descriptors,
        }));
        let number = record(|recorder| {
            recorder.tasks.spawning(Role::Server);
            process::begins(recorder)
        });
        let serving = self
            .server
            .serve(transport::Listener::Wire(listener), signal);
        tokio::spawn(async move {
            serving.await;
            if record(|recorder| process::returned(recorder, number)) == Some(true) {
                kill(&descriptor);
            }
        });
        tokio::task::yield_now().await;
        record(|recorder| {
            recorder.tasks.take_root();
            recorder.tasks.spawning(Role::Harness);
        });
        Ok(())
    }

    /// Lets everything happen at its time.
    pub(super) async fn live(&self, events: &[ServerEvent]) -> io::Result<()> {
        for event in process::in_order(events) {
            sleep(lasts(event.at.saturating_sub(now()))).await;
            record(|recorder| {
                let at = recorder.now();
                process::happens(recorder, at, event.action);
            });
            self.happen(event.action).await?;
        }
        // What a scenario says of the server is over before a fresh client looks for damage.
        sleep(lasts(process::over_at(events).saturating_sub(now()))).await;
        Ok(())
    }

    async fn happen(&self, action: ServerAction) -> io::Result<()> {
        let down = record(|recorder| recorder.life.down).flatten();
        match action {
            _ if down == Some(Down::Dead) && action != ServerAction::Restart => {}
            ServerAction::Shutdown => self.shut_down(),
            ServerAction::StopAccepting => {
                self.with(|instance| stop_listening(&instance.listener));
                record(|recorder| {
                    recorder.life.down.get_or_insert(Down::NotListening);
                });
            }
            ServerAction::AcceptError(error) => {
                self.with(|instance| instance.descriptors.fail(now(), error));
            }
            ServerAction::Crash => self.kill(),
            ServerAction::Restart => {
                self.kill();
                self.start().await?;
            }
            ServerAction::HandlerPanic => {
                record(|recorder| recorder.life.panics_due += 1);
            }
        }
        Ok(())
    }

    fn with(&self, work: impl FnOnce(&Instance)) {
        if let Some(instance) = &*self.instance.borrow() {
            work(instance);
        }
    }

    fn kill(&self) {
        self.with(|instance| kill(&instance.listener));
    }

    fn shut_down(&self) {
        let Some(bound) = self.contract.shutdown else {
            return self.kill();
        };
        match record(|recorder| process::shuts_down(recorder, bound, self.tolerance)) {
            None | Some(Ordered::Again) => {}
            Some(Ordered::Exits) => self.kill(),
            Some(Ordered::Within(time)) => {
                self.with(|instance| instance.order.give());
                tokio::spawn(async move {
                    sleep(lasts(time)).await;
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

fn stop_listening(listener: &Descriptor<Listening>) {
    drop(listener.close());
    book::unlistened();
}

/// The process dies: the kernel closes its sockets, and its tasks are gone.
fn kill(listener: &Descriptor<Listening>) {
    process::dies(|| {
        stop_listening(listener);
        book::killed();
    });
}
