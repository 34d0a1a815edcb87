//! std's clocks and hash seeds of one thread, in the hands of a simulation.
//!
//! A paused tokio clock does not stop `std::time::Instant` and `SystemTime`, and no seed reaches the order of a
//! `HashMap`. [`sealed`] runs a closure on a fresh thread for which they do: time stands still until
//! [`set_time`] moves it, and whatever asks the system for random bytes gets a stream that follows from the seed.
//!
//! ```
//! use std::collections::HashSet;
//! use std::time::{Duration, Instant, SystemTime};
//!
//! # if let Err(unavailable) = hangup_seal::available() { return println!("{unavailable}"); }
//! let run = || {
//!     let start = Instant::now();
//!     hangup_seal::set_time(Duration::from_secs(29 * 3600));
//!     let order: Vec<u32> = (0..100).collect::<HashSet<u32>>().into_iter().collect();
//!     (start.elapsed(), SystemTime::now(), order)
//! };
//! let first = hangup_seal::sealed(1, run).unwrap();
//! assert_eq!(first, hangup_seal::sealed(1, run).unwrap());
//! assert_eq!(first.0, Duration::from_secs(29 * 3600));
//! assert_eq!(first.1, SystemTime::UNIX_EPOCH + hangup_seal::EPOCH + first.0);
//! ```
//!
//! # How
//! The program defines the symbols `getrandom` and `clock_gettime` itself, which the linker prefers to libc's. On
//! a thread that is not sealed they pass the call on to the system, so nothing changes for the rest of the process.
//! std draws the seed of its hash maps once a thread, hence the fresh thread.
//!
//! # What it does not reach
//! - Other threads, also those that the closure starts (`spawn_blocking`).
//! - What a library has drawn for the whole process before, or draws once for it; addresses of memory, thread and task ids.
//! - Clocks of the processor's time, files, sockets, the environment.
//! - Other systems than 64-bit Linux with glibc, and programs in which somebody else defines these symbols:
//!   [`available`] says so.
//!
//! | module | what lives there |
//! |---|---|
//! | `interpose` | the two symbols |
//! | `heap` | an allocator that counts what each thread has |
//!
//! They have all `unsafe` of the workspace.

#[allow(unsafe_code, reason = "an allocator is an unsafe trait")]
mod heap;
#[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
#[allow(unsafe_code, reason = "it stands in for two functions of libc")]
mod interpose;
#[cfg(not(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64")))]
#[path = "elsewhere.rs"]
mod interpose;

pub use heap::{CountingAllocator, live_bytes, peak_bytes, restart_peak};

use std::hash::{BuildHasher, RandomState};
use std::panic::resume_unwind;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// What `SystemTime` shows when a sealed thread begins, since [`SystemTime::UNIX_EPOCH`]: 1 January 2026, 00:00 UTC.
pub const EPOCH: Duration = Duration::from_secs(1_767_225_600);

/// Why a thread cannot be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The two symbols mean something else here.
    #[error("sealing std's clocks and hash seeds needs 64-bit Linux with glibc")]
    Platform,
    /// `Instant` or `SystemTime` do not come here.
    #[error("std's clocks cannot be sealed in this program: its clock_gettime is not ours")]
    Clock,
    /// The seed of hash maps does not come from here.
    #[error("hash seeds cannot be sealed in this program: its getrandom is not ours")]
    Random,
    /// The system gives no more threads.
    #[error("a sealed run needs a thread of its own, and the system gives none")]
    Thread,
}

/// What a run may depend on that no seed reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `Instant` and `SystemTime`.
    Clocks,
    /// Random bytes of the system, and with them the order of a `HashMap`.
    Random,
}

/// Can threads of this program be sealed? Tried with one, each time.
///
/// # Errors
/// Why not.
pub fn available() -> Result<(), Unavailable> {
    sealed(0, || ())
}

/// Runs `work` on a fresh thread whose clocks stand at [`EPOCH`], and whose random bytes follow from `seed`; a panic in
/// it goes on here.
///
/// # Errors
/// The reason why it was not run at all.
pub fn sealed<R: Send>(seed: u64, work: impl FnOnce() -> R + Send) -> Result<R, Unavailable> {
    on_fresh_thread((seed, None), || tried().map(|()| work()))
}

/// Runs `work` as [`sealed`] does, with only one of the two sealed: to find out which of them a difference between two runs comes
/// from.
///
/// # Errors
/// The reason why it was not run at all.
pub fn sealed_only<R: Send>(
    source: Source,
    seed: u64,
    work: impl FnOnce() -> R + Send,
) -> Result<R, Unavailable> {
    on_fresh_thread((seed, Some(source)), || match is_sealed() {
        true => Ok(work()),
        false => Err(Unavailable::Platform),
    })
}

fn on_fresh_thread<R: Send>(
    (seed, only): (u64, Option<Source>),
    work: impl FnOnce() -> Result<R, Unavailable> + Send,
) -> Result<R, Unavailable> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("sealed".to_owned());
        let running = thread.spawn_scoped(scope, || {
            interpose::begin(seed, only);
            let result = work();
            interpose::end();
            result
        });
        let running = running.map_err(|_| Unavailable::Thread)?;
        running.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Moves the clocks of the current thread to so long after the beginning of its [`sealed`] run. On any other thread
/// it does nothing. Time that goes backwards is taken as it is.
pub fn set_time(elapsed: Duration) {
    interpose::set_time(elapsed);
}

/// Is the current thread sealed?
pub fn is_sealed() -> bool {
    interpose::is_sealed()
}

/// The seal of this thread, which is new, does what it should.
fn tried() -> Result<(), Unavailable> {
    if !is_sealed() {
        return Err(Unavailable::Platform);
    }
    let start = Instant::now();
    set_time(Duration::from_nanos(1));
    let moved = (SystemTime::now(), Instant::now());
    set_time(Duration::ZERO);
    let step = Duration::from_nanos(1);
    if moved != (SystemTime::UNIX_EPOCH + EPOCH + step, start + step) {
        return Err(Unavailable::Clock);
    }
    let drawn = interpose::drawn();
    RandomState::new().build_hasher();
    if interpose::drawn() == drawn {
        return Err(Unavailable::Random);
    }
    Ok(())
}
