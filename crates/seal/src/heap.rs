//! An allocator that counts what each thread has.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Bytes that this thread has allocated and nobody has freed, less what it has freed of other threads.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    /// The most that they have been since [`restart_peak`].
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, with a count of the bytes that each thread has.
///
/// A thread's count goes up by what it allocates and down by what it frees; memory that is given to another
/// thread and freed there stays in the count of the first.
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: hangup_seal::CountingAllocator = hangup_seal::CountingAllocator;
///
/// # fn main() {
/// let before = hangup_seal::live_bytes().unwrap();
/// let kept = vec![0_u8; 1000];
/// assert_eq!(hangup_seal::live_bytes().unwrap() - before, 1000);
/// drop(kept);
/// assert_eq!(hangup_seal::live_bytes().unwrap(), before);
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct CountingAllocator;

fn count(bytes: isize) {
    // A thread that is ending counts no more.
    let _ = LIVE.try_with(|live| {
        let now = live.get().wrapping_add(bytes);
        live.set(now);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(now)));
    });
}

/// The most bytes that this thread has had at once since [`restart_peak`] was called on it, by the
/// count of [`CountingAllocator`]; 0 where that is not the program's global allocator.
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: hangup_seal::CountingAllocator = hangup_seal::CountingAllocator;
///
/// # fn main() {
/// let before = hangup_seal::live_bytes().unwrap();
/// hangup_seal::restart_peak();
/// drop(vec![0_u8; 1000]);
/// assert_eq!(hangup_seal::peak_bytes() - before, 1000);
/// # }
/// ```
pub fn peak_bytes() -> isize {
    PEAK.try_with(Cell::get).unwrap_or_default()
}

/// Counts the peak from what this thread has now.
pub fn restart_peak() {
    let live = LIVE.try_with(Cell::get).unwrap_or_default();
    let _ = PEAK.try_with(|peak| peak.set(live));
}

/// How many bytes this thread has, by the count of [`CountingAllocator`]; `None` where that is not the program's
/// global allocator.
pub fn live_bytes() -> Option<isize> {
    let live = || LIVE.try_with(Cell::get).unwrap_or_default();
    let before = live();
    let tried = std::hint::black_box(Box::new([0_u8; 64]));
    let counted = live() != before;
    drop(tried);
    counted.then_some(before)
}

// SAFETY: every call goes to `System`, with the arguments it came with, so that its contract is kept where the
// caller keeps it. Counting touches no memory but a thread-local integer, which needs no destructor and no
// allocation, so it neither allocates nor unwinds.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`, which is that of `System`.
        let place = unsafe { System.alloc(layout) };
        if !place.is_null() {
            count(layout.size() as isize);
        }
        place
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: `place` came from `System` through this allocator, with this layout.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc_zeroed`, which is that of `System`.
        let place = unsafe { System.alloc_zeroed(layout) };
        if !place.is_null() {
            count(layout.size() as isize);
        }
        place
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: `place` came from `System` through this allocator, with this layout, and the caller keeps the
        // contract for `size`.
        let moved = unsafe { System.realloc(place, layout, size) };
        if !moved.is_null() {
            count(size as isize - layout.size() as isize);
        }
        moved
    }
}
