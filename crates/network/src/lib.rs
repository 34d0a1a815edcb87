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
//! | `listener`, `stream`, `socket` | [`TcpListener`], [`TcpStream`] and its halves, [`TcpSocket`] |
//! | `address` | [`ToSocketAddrs`]: addresses, and the names that a world was told |
//! | `network` | all connections and listeners, the handshake, delivery of what is due |
//! | `connection` | the rules of one connection: calls, the send queue, arriving segments, links, timers and keep-alive probes |
//! | `buffers` | how much a direction's two queues hold, and how that grows |
//! | `lane` | one direction of a connection: bytes, window, segments in flight |
//! | `agenda`, `alarm`, `medium` | what is due when; what wakes the network for it; what all connections share |
//! | `readiness`, `random` | who waits for a socket; random numbers |

//!
//! # What is as on Linux, and what is not
//!
//! `tests/linux` runs random scripts of socket operations here and on the kernel that it finds, and compares every result, and
//! the step at which what blocked wakes: `HANGUP_SCRIPTS=40000 cargo test -p hangup-network --test linux`. What is known to differ:
//!
//! | what | Linux | here | why |
//! |---|---|---|---|
//! | buffers | count the kernel's own overhead | count payload: a fixed one holds just so many bytes, another grows by Linux's rules for Ethernet from 87,040 bytes to 4 MiB, and its peer's window from 64 KiB to 3 MiB | a run must not depend on a kernel; what is compared is whether a writer blocks and when it wakes, not at which byte |
//! | memory | no buffer grows while TCP as a whole holds `tcp_mem[0]` | nor while those of a world have grown by 64 MiB | a simulation's memory is bounded |
//! | mtu | one of 536 or less cuts nothing that a read sees | each read sees one segment at most | so a stream can be read byte by byte |
//! | congestion | slow start, Nagle, delayed acknowledgements, tail loss probes | none: a segment leaves when the window allows it | a server's deadlines are seconds; latency, loss and black holes are there |
//! | retransmission timeout | follows the round trips that were measured | 200 ms, doubling up to two minutes | the times at which hosts give up follow from it: 924.6 s, as with Linux's shortest timeout |
//! | `TIME_WAIT` | a minute, holds the port | none | no address is used twice in a world |
//! | SYN cookie | good for one minute to two, by the phase of a clock | good for two minutes | one of what may happen |
//! | `SO_LINGER` above zero | `close` blocks the thread | as without it | blocking would stop the simulation |
//! | `ready`, `readable`, `writable` | tokio remembers what epoll told it, which may be over: then an operation gives `WouldBlock` | what is so now | one of what may happen |
//! | `try_read_vectored` into nothing | 0, or `WouldBlock`, by what tokio remembers | `WouldBlock` where nothing is there | the same |
//! | keep-alive probes that are answered | there are | none is shown to an observer | they change nothing |
//! | `TCP_NOTSENT_LOWAT` | a small write may still fill the last buffer of the queue | it is refused once the mark is reached | where a buffer ends depends on the kernel |
//! | urgent data | there is | there is none | no server of this kind uses it |

mod address;
mod agenda;
mod alarm;
mod buffers;
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
mod socket;
mod stream;
mod world;

pub use address::{ToSocketAddrs, lookup_host};
pub use config::{BlackHole, Config, Link, ResetPolicy};
pub use listener::TcpListener;
pub use netstat::{Socket, State};
pub use observer::{Caller, ConnectionId, Event, Observer, Side};
pub use packet::{Packet, SynOptions};
pub use socket::TcpSocket;
pub use stream::{
    Connect, OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, TcpStream, WriteHalf,
};
pub use world::{ProcessDied, World, about_to_park, time_may_have_passed};
