//! A server with a semaphore and a pool of database connections, and what a client that goes away in the middle does to it.
//!
//! | | |
//! |---|---|
//! | `cargo run --example pool -- fuzz` | looks for a client that does it |
//! | `cargo test --example pool` | finds it in the careless server, and not in the careful one |

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use hangup::Bed;
use hangup::contract::Contract;
use hangup_server::{Limits, Server};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

/// Requests at work at a time.
const AT_WORK: usize = 64;
/// Connections to the database: few, so that a test sees the last one go.
const CONNECTIONS: usize = 2;
const QUERY: Duration = Duration::from_millis(200);
/// How long a request waits for its turn.
const TURN: Duration = Duration::from_secs(5);

/// A connection to a database.
struct Connection;

impl Connection {
    async fn query(&mut self) -> &'static str {
        sleep(QUERY).await;
        "42\n"
    }
}

/// Connections that requests take and give back.
struct Pool {
    idle: Mutex<Vec<Connection>>,
    /// As many permits as there are connections in `idle`.
    free: Arc<Semaphore>,
}

/// A connection that goes back to its pool wherever it is dropped.
struct Lent {
    connection: Option<Connection>,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            idle: Mutex::new((0..CONNECTIONS).map(|_| Connection).collect()),
            free: Arc::new(Semaphore::new(CONNECTIONS)),
        })
    }

    fn take(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.pop()
    }

    fn give_back(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(connection);
    }

    async fn lend(self: &Arc<Self>) -> Option<Lent> {
        let turn = timeout(TURN, Arc::clone(&self.free).acquire_owned());
        let permit = turn.await.ok()?.ok()?;
        Some(Lent {
            connection: self.take(),
            pool: Arc::clone(self),
            _permit: permit,
        })
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.give_back(connection);
        }
    }
}

#[derive(Clone)]
struct Shared {
    pool: Arc<Pool>,
    at_work: Arc<Semaphore>,
}

type Answer = Result<&'static str, StatusCode>;
const BUSY: StatusCode = StatusCode::SERVICE_UNAVAILABLE;

/// Gives its connection back in its last line. When its client goes away during the query, the server drops this future
/// there, and that line is never reached.
async fn careless(State(shared): State<Shared>) -> Answer {
    let _turn = shared.at_work.try_acquire().map_err(|_| BUSY)?;
    let mut connection = shared.pool.take().ok_or(BUSY)?;
    let answer = connection.query().await;
    shared.pool.give_back(connection);
    Ok(answer)
}

/// Holds its connection in a guard, which gives it back wherever this future ends.
async fn careful(State(shared): State<Shared>) -> Answer {
    let _turn = shared.at_work.try_acquire().map_err(|_| BUSY)?;
    let mut lent = shared.pool.lend().await.ok_or(BUSY)?;
    let connection = lent.connection.as_mut().ok_or(BUSY)?;
    Ok(connection.query().await)
}

/// A bed for the application with this router. Each run begins with a pool of its own.
fn bed(name: &str, route: fn() -> Router<Shared>) -> Bed {
    Bed::new(name, move |listener, shutdown| {
        let shared = Shared {
            pool: Pool::new(),
            at_work: Arc::new(Semaphore::new(AT_WORK)),
        };
        let server = Server::new(route().with_state(shared));
        server.serve_with_shutdown(listener, shutdown.given())
    })
    .contract(Contract::from(&Limits::default()))
}

fn careless_bed() -> Bed {
    bed("careless", || Router::new().route("/", get(careless)))
}

fn careful_bed() -> Bed {
    bed("careful", || Router::new().route("/", get(careful)))
}

fn main() -> ExitCode {
    hangup::cli(careless_bed()).and(careful_bed()).main()
}

#[cfg(test)]
mod tests {
    use super::{careful_bed, careless_bed};
    use hangup_scenario::Verdict;

    #[test]
    fn no_client_can_take_a_connection_of_the_pool_with_it() {
        careful_bed().check();
    }

    #[test]
    fn in_the_careless_server_clients_that_go_away_can() {
        let outcome = careless_bed().cases(20_000).keep_nothing().run();
        let deaf = |cell: &hangup::cell::Cell| cell.verdict() == Verdict::Deaf;
        assert!(outcome.convicted.iter().any(deaf), "{outcome}");
    }
}
