//! The symbols `getrandom` and `clock_gettime`, as this program defines them.
//!
//! Both ask the seal of their thread, a `Cell` that needs neither a lock, nor memory, nor a destructor, so that they can be
//! called wherever libc's can. Without a seal they pass the call on: `clock_gettime` to libc's own, which does not need a
//! system call, and `getrandom` to the kernel.

use crate::{EPOCH, Source};
use libc::{c_int, c_uint, c_void, clockid_t, size_t, ssize_t, timespec};
use std::cell::Cell;
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::Duration;

/// How long the machine has been up then: a day, so that one may go back from an early `Instant`.
const UP: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Clone, Copy)]
struct Sealed {
    elapsed: Duration,
    /// State of SplitMix64.
    random: u64,
    /// How often random bytes were drawn.
    drawn: u64,
    /// The one that is sealed; none: both are.
    only: Option<Source>,
}

thread_local! {
    static SEAL: Cell<Option<Sealed>> = const { Cell::new(None) };
}

pub(crate) fn begin(seed: u64, only: Option<Source>) {
    // What a linker leaves out if nobody names it.
    std::hint::black_box((getrandom as *const (), clock_gettime as *const ()));
    SEAL.set(Some(Sealed {
        elapsed: Duration::ZERO,
        random: seed,
        drawn: 0,
        only,
    }));
}

pub(crate) fn end() {
    SEAL.set(None);
}

pub(crate) fn set_time(elapsed: Duration) {
    SEAL.set(SEAL.get().map(|seal| Sealed { elapsed, ..seal }));
}

pub(crate) fn is_sealed() -> bool {
    SEAL.get().is_some()
}

pub(crate) fn drawn() -> u64 {
    SEAL.get().map_or(0, |seal| seal.drawn)
}

impl Sealed {
    /// The next eight bytes.
    fn draw(&mut self) -> [u8; 8] {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.random;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)).to_le_bytes()
    }

    /// What a clock shows; `None` for those of the processor's time, which are not simulated.
    fn read(&self, clock: clockid_t) -> Option<Duration> {
        match clock {
            _ if self.only == Some(Source::Random) => None,
            libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE | libc::CLOCK_TAI => {
                Some(self.elapsed.saturating_add(EPOCH))
            }
            libc::CLOCK_MONOTONIC
            | libc::CLOCK_MONOTONIC_RAW
            | libc::CLOCK_MONOTONIC_COARSE
            | libc::CLOCK_BOOTTIME => Some(self.elapsed.saturating_add(UP)),
            _ => None,
        }
    }
}

/// See `getrandom(2)`.
///
/// # Safety
/// `buffer` is valid for writes of `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut c_void, length: size_t, flags: c_uint) -> ssize_t {
    let sealed = SEAL.get().filter(|seal| seal.only != Some(Source::Clocks));
    let Some(mut seal) = sealed else {
        // SAFETY: the arguments are those of the system call, and the caller's promise is the one that it needs.
        return unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) as ssize_t };
    };
    let mut bytes = buffer.cast::<u8>();
    let mut left = length;
    while left > 0 {
        let word = seal.draw();
        let count = left.min(word.len());
        // SAFETY: `bytes` is `length - left` bytes into the caller's buffer, of which `left >= count` remain, and a
        // local array does not overlap it.
        unsafe {
            ptr::copy_nonoverlapping(word.as_ptr(), bytes, count);
            bytes = bytes.add(count);
        }
        left -= count;
    }
    seal.drawn += 1;
    SEAL.set(Some(seal));
    length as ssize_t
}

/// See `clock_gettime(2)`.
///
/// # Safety
/// `time` is valid for a write.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    if let Some(shown) = SEAL.get().and_then(|seal| seal.read(clock)) {
        let shown = timespec {
            tv_sec: i64::try_from(shown.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: shown.subsec_nanos().into(),
        };
        // SAFETY: the caller's promise.
        unsafe { time.write(shown) };
        return 0;
    }
    // SAFETY: the caller's promise is the one that libc's function and the system call need.
    unsafe {
        match libc_clock() {
            Some(read) => read(clock, time),
            None => libc::syscall(libc::SYS_clock_gettime, clock, time) as c_int,
        }
    }
}

type Read = unsafe extern "C" fn(clockid_t, *mut timespec) -> c_int;

/// libc's own `clock_gettime`.
fn libc_clock() -> Option<Read> {
    /// Null until it was looked for. Threads that look at the same time find the same.
    static FOUND: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
    let mut found = FOUND.load(Ordering::Relaxed);
    if found.is_null() {
        // SAFETY: the name ends with a zero, and `RTLD_NEXT` asks for the definition behind this program's.
        found = unsafe { libc::dlsym(libc::RTLD_NEXT, c"clock_gettime".as_ptr()) };
        FOUND.store(found, Ordering::Relaxed);
    }
    // SAFETY: a null pointer is `None`; any other is libc's function of this name, which has this type.
    unsafe { mem::transmute::<*mut c_void, Option<Read>>(found) }
}
