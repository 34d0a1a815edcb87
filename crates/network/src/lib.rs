//! Simulated TCP on tokio's paused clock, in the shape of `tokio::net`.
//!
//! A server that is written against `tokio::net` runs on it by a change of one import. Clients, network and
//! servers share one current-thread runtime whose clock is paused: tokio's clock leaps from timer to timer, so hours of
//! silence cost nothing, and a run is the same each time. The rules are Linux's, see below.
//!
//! ```
//! use hangup_network::{Config, TcpListener, TcpStream, World};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # fn main() -> std::io::Result<()> {
//! let runtime =
//!     tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
//! runtime.block_on(async {
//!     let world = World::enter(Config::default(), Box::new(()));
//!     tokio::spawn(world.run());
//!
//!     let listener = TcpListener::bind("10.0.0.1:80").await?;
//!     tokio::spawn(async move {
//!         let (mut stream, _) = listener.accept().await.unwrap();
//!         stream.write_all(b"hello").await.unwrap();
//!     });
//!
//!     let start = tokio::time::Instant::now();
//!     let mut stream = TcpStream::connect("10.0.0.1:80").await?;
//!     let mut text = String::new();
//!     stream.read_to_string(&mut text).await?;
//!     assert_eq!(text, "hello");
//!     // The handshake's three segments, and one more with the text and its end: 20 ms each.
//!     assert_eq!(start.elapsed().as_millis(), 80);
//!     Ok(())
//! })
//! # }
//! ```
//!
//! | module | what lives there |
//! |---|---|
//! | `config` | [`Config`] of a network, [`Link`] of one connection |
//! | `world` | [`World`]: the network of a thread, its task, faults |
//! | `observer` | [`Observer`] and the [`Event`]s that it is told |
//! | `packet` | [`Packet`]: what a capture would show |
//! | `netstat` | [`World::sockets`]: [`Socket`] and [`State`] |
//! | `listener`, `stream` | [`TcpListener`], [`TcpStream`] and its halves |
//! | `network` | all connections and listeners, the handshake, delivery of what is due |
//! | `connection` | the rules of one connection: calls, arriving segments, links and timers |
//! | `lane` | one direction of a connection: bytes, window, segments in flight |
//! | `agenda`, `medium` | what is due when; what all connections share |
//! | `readiness`, `random` | who waits for a socket; random numbers |

mod agenda;
mod config;
mod connection;
mod lane;
mod listener;
mod medium;
mod netstat;
mod network;
mod observer;
mod packet;
mod random;
mod readiness;
mod stream;
mod world;

pub use config::{BlackHole, Config, Link, ResetPolicy};
pub use listener::TcpListener;
pub use netstat::{Socket, State};
pub use observer::{ConnectionId, Event, Observer, Side};
pub use packet::{Packet, SynOptions};
pub use stream::{
    Connect, OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, TcpStream, WriteHalf,
};
pub use world::World;
