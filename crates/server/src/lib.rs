//! An HTTP/1.1 server in which no phase of a connection is without a deadline.
//!
//! ```
//! use hangup_server::{Body, Peer, Server, service_fn};
//! use http::{Request, Response};
//! use std::time::Duration;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
//! use tokio::time::Instant;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! let hello = service_fn(async |_: Request<Body>| Response::new(String::from("hello")));
//! let server = Server::new(hello).date_header(false);
//!
//! let (mut client, io) = duplex(1024);
//! let connection = tokio::spawn(server.connection(io, Peer::Unnamed));
//! client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
//! let start = Instant::now();
//! let mut answer = String::new();
//! client.read_to_string(&mut answer).await.unwrap();
//!
//! assert_eq!(answer, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
//! assert_eq!(start.elapsed(), Duration::from_secs(75), "an idle connection has 75 seconds");
//! assert_eq!(connection.await.unwrap().name(), "timeout-idle");
//! # });
//! ```
//!
//! On real sockets it is `Server::new(service).serve(tokio::net::TcpListener::bind(address).await?)`, where `service` is any
//! [`tower_service::Service`] from `Request<`[`Body`]`>` to a `Response` of any [`http_body::Body`].
//!
//! | module | what |
//! |---|---|
//! | `server`, `accept` | configuration, shutdown and its report; the accept loop |
//! | `listener`, `peer`, `service` | where connections come from, who is there, a closure as a service |
//! | `tls` | the same over TLS, with feature `tls` |
//! | `connection` | the state machine of one connection, and the one place that waits |
//! | `connection/reading`, `handling`, `upgrading`, `closing` | its stages: heads; the application; another protocol; drain, linger, the last word |
//! | `connection/queue` | what the peer has not acknowledged |
//! | `connection/exchange`, `work` | one request's state; the application's futures |
//! | `head`, `target`, `host`, `framing`, `chunked` | from bytes to requests, and what is refused |
//! | `body` | a request's body, as a pipe of one piece |
//! | `response`, `date` | from responses to bytes |
//! | `upgrade`, `hyper_upgrade` | another protocol's stream, counted and under its clock; the same in hyper's type, for axum |
//! | `input`, `output`, `held`, `timer` | the buffers, the stream and the one timer |
//! | `kernel` | what the kernel knows of a socket: the bytes that are not acknowledged |
//! | `ledger`, `watch` | who is there, and in which phase; whoever is told of it as it happens |
//! | `dump`, `metrics`, `admin` | the ledger for people and programs, for Prometheus, and as pages (the last two with feature `metrics`) |
//! | `task_watch` | alerts: what only grows, and who is past a bound |
//! | [`flight`] | what the last clients did, as a file |
//! | `admission`, `descriptors` | how many there may be, in all and from one address; the limit of open files |
//! | `log_limit` | a bound on how often one kind of event is logged |
//! | [`measured`] | time and memory beside hyper and axum |
//! | [`musts`] | what the RFCs ask of a server's connections, and the test that shows each |
//!
//! The phases, their limits and deadlines are [`hangup_lifecycle`]'s; why the defaults are what they are, and what to change for which service, is in
//! [`choosing_limits`](hangup_lifecycle::choosing_limits).

mod accept;
#[cfg(feature = "metrics")]
mod admin;
mod admission;
mod body;
mod chunked;
mod connection;
mod date;
mod descriptors;
mod dump;
pub mod flight;
mod framing;
mod head;
mod held;
mod host;
#[cfg(feature = "hyper-upgrade")]
mod hyper_upgrade;
mod input;
mod kernel;
mod ledger;
mod listener;
mod log_limit;
#[cfg(feature = "metrics")]
mod metrics;
mod output;
mod peer;
mod response;
mod server;
mod service;
mod spell;
mod target;
mod task_watch;
mod timer;
#[cfg(feature = "tls")]
mod tls;
mod upgrade;
mod watch;

#[doc = include_str!("measured.md")]
pub mod measured {}

#[doc = include_str!("musts.md")]
pub mod musts {}

#[cfg(feature = "metrics")]
pub use admin::Admin;
pub use body::{Body, BodyError};
pub use connection::Connection;
pub use descriptors::{Descriptors, DescriptorsError};
pub use dump::{Dump, Group};
pub use flight::FlightRecorder;
pub use hangup_lifecycle::{
    Bound, Clock, CloseReason, Deadline, Entry, Limits, Phase, Refusal, Span,
};
pub use input::READ_MAX;
pub use kernel::{Keepalive, SocketOptions};
pub use ledger::{Counts, Ledger, Open, Snapshot, Totals};
pub use listener::Listener;
#[cfg(feature = "metrics")]
pub use metrics::{CONTENT_TYPE, Metrics};
pub use peer::Peer;
pub use server::{Report, Server};
pub use service::{Infallibly, ServiceFn, service_fn};
pub use task_watch::{Alert, Counted, Past, TaskWatch};
#[cfg(feature = "tls")]
pub use tls::{Tls, TlsIo};
pub use upgrade::{OnUpgrade, Upgraded, on_upgrade};
pub use watch::Watch;
