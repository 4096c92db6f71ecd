//! Counts the allocations of a thread.
//!
//! A test binary makes [`Counting`] its global allocator.
#![expect(unsafe_code, reason = "a counting global allocator forwards each call to the system's")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, which counts.
#[derive(Debug)]
pub struct Counting;

fn count() {
    // During thread teardown allocations are not counted.
    COUNT.try_with(|count| count.set(count.get() + 1)).unwrap_or(());
}

/// Returns the number of allocations of this thread so far.
#[must_use]
pub fn allocations() -> u64 {
    COUNT.get()
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
