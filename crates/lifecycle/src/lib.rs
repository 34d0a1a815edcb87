//! The life of an HTTP/1.1 connection: its phases, their limits, and the deadline that follows. No I/O, no clock, no async.
//!
//! ```text
//!              accept
//!                |
//!          (handshake)               TLS only
//!                |
//!             opening ---- first byte ----+
//!                                         v
//!     +------ idle ------ first byte --> head
//!     |        ^                          |  whole
//!     |        |                          v
//!     |        |              +------> handler <------+
//!     |        |              |  |  reads the body    | does not wait
//!     |        |              |  |                    | for the client
//!     |        |              |  +--> expect --> body +
//!     |        |              |       100 sent    |
//!     |        |              v                   v (both ways at once)
//!     |        +---------- response <-------------+--> upgrade (101)
//!     |        |              |
//!     |        |  body read   |  body owed
//!     |        +--- drain <---+
//!     |               |       |  close
//!     v               v       v
//!   close <-------- linger <--+------ 400, 408, 413, 500, 503 ... from any phase before the response
//! ```
//!
//! A phase is what the connection *waits* for. [`Life::wait`] is the only way into one, and it returns the
//! [`Deadline`]: a total function of phase, [`Limits`] and what has happened. There is no phase without a limit, no limit
//! without a value, and no clock that survives its phase; a limit is unbounded only under a name that is shown.
//! From the limits follows a [`Bound`] on how long any client can hold a connection.
//!
//! | module | what |
//! |---|---|
//! | `phase` | where a connection is |
//! | `span`, `rate` | times and rates that are finite, or unbounded by name |
//! | `limits` | a value for every phase, and the defaults |
//! | `deadline` | the table: phase x limits x progress |
//! | `queue` | what the peer has not acknowledged, and when to ask |
//! | `life` | one connection: what happened, what it waits for, until when |
//! | `bound` | what the limits add up to |
//! | `refusal`, `reason` | why a request was refused, why a connection ended |
//! | `ledger` | what is kept of each connection |
//! | [`choosing_limits`] | why the defaults are what they are, and what to change |
//!
//! ```
//! use hangup_lifecycle::Limits;
//!
//! assert!(Limits::default().to_string().ends_with(
//!     "a client can hold a connection for 1h 10s and what its last response takes at 240 B/s; \
//!      21m 15s after its last byte; 20m after its close; 20m after its host is gone"
//! ));
//! ```

mod bound;
mod deadline;
mod ledger;
mod life;
mod limits;
mod phase;
mod progress;
mod queue;
mod rate;
mod reason;
mod refusal;
mod span;

#[doc = include_str!("choosing_limits.md")]
pub mod choosing_limits {}

pub use bound::Bound;
pub use deadline::{Clock, Deadline};
pub use ledger::{Entry, Stay};
pub use life::Life;
pub use limits::{Drain, Limits, Linger, Transfer};
pub use phase::Phase;
pub use rate::Rate;
pub use reason::CloseReason;
pub use refusal::Refusal;
pub use span::Span;
