//! Counts allocations, of a thread and of the process.
//!
//! A test binary or a benchmark makes [`Counting`] its global allocator.
#![expect(unsafe_code, reason = "a counting global allocator forwards each call to the system's")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// A thread adds its allocations to those of the process this many at a time, so that counting does not make
/// threads contend for one cache line.
const STEP: u64 = 64;

static OF_PROCESS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, which counts.
#[derive(Debug)]
pub struct Counting;

fn count() {
    // During thread teardown allocations are not counted.
    let of_thread = COUNT.try_with(|count| {
        count.set(count.get() + 1);
        count.get()
    });
    if of_thread.is_ok_and(|count| count.is_multiple_of(STEP)) {
        OF_PROCESS.fetch_add(STEP, Ordering::Relaxed);
    }
}

/// Returns the number of allocations of this thread so far.
#[must_use]
pub fn allocations() -> u64 {
    COUNT.get()
}

/// Returns the number of allocations of the process so far, less at most 63 of each thread.
#[must_use]
pub fn allocations_of_process() -> u64 {
    OF_PROCESS.load(Ordering::Relaxed)
}

// SAFETY: each call is forwarded to the system's allocator, which upholds the contract. Counting does not
// allocate: the thread's cell is initialised at compile time and needs no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller upholds the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller upholds the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}
