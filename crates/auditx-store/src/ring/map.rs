//! The ring's file in memory, and the test that tells a forked child from its parent. All unsafe code of the
//! ring is here.

#![expect(unsafe_code, reason = "mapped memory is reached through pointers")]

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use memmap2::{MmapMut, MmapOptions, MmapRaw};

use super::layout::WORD;
use super::word::Memory;

/// A mapped file whose blocks are all allocated. Within this process only the ring uses the mapping.
#[derive(Debug)]
pub(crate) struct Map {
    map: MmapRaw,
    fork_guard: ForkGuard,
}

impl Map {
    /// Maps the first `len` bytes of a file that is at least that long.
    pub(super) fn new(file: &File, len: usize) -> io::Result<Self> {
        let map = MmapOptions::new().len(len).map_raw(file)?;
        Ok(Self { map, fork_guard: ForkGuard::new()? })
    }

    /// Whether this process created the mapping. False in a forked child, in which no thread drains the ring.
    #[inline]
    pub(crate) fn is_owner(&self) -> bool {
        self.fork_guard.is_this_process()
    }

    /// Makes every page writable now, so that producers do not wait for page faults later.
    pub(crate) fn populate(&self) {
        // Kernels before 5.14 do not know this advice; each page is then made ready when it is first touched.
        #[cfg(target_os = "linux")]
        drop(self.map.advise(memmap2::Advice::PopulateWrite));
    }

    /// Replaces the mapped file by another one, at the same address. The file must be at least as long.
    #[cfg(target_os = "linux")]
    pub(super) fn remap(&self, file: &File) -> io::Result<()> {
        use rustix::mm::{MapFlags, ProtFlags, mmap};
        if file.metadata()?.len() < self.map.len() as u64 {
            return Err(io::Error::other("the file is shorter than its mapping"));
        }
        let (address, len) = (self.map.as_mut_ptr().cast(), self.map.len());
        let flags = MapFlags::SHARED | MapFlags::FIXED;
        // SAFETY: MAP_FIXED must hit no mapping but this one. Address and length are those of `self.map`,
        // which stays mapped while `self` lives, so the range is exactly its own. References to the words
        // stay valid: the kernel replaces the pages in one step, an access in between waits, addresses do not
        // change, and every bit pattern is a valid AtomicU64. The new file is at least as long (checked
        // above), so no access goes beyond its end. Dropping `map` unmaps the range as before.
        unsafe { mmap(address, len, ProtFlags::READ | ProtFlags::WRITE, flags, file, 0) }?;
        self.populate();
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn remap(&self, _file: &File) -> io::Result<()> {
        Err(io::Error::other("a ring is only used on Linux"))
    }

    /// Returns the low half of a word, for futex(2).
    pub(super) fn futex(&self, word: usize) -> &AtomicU32 {
        let word: *const AtomicU64 = &raw const self.words()[word];
        let half = usize::from(cfg!(target_endian = "big"));
        // SAFETY: the pointer must be aligned and point to a live, initialized u32 that is only accessed
        // through atomics. It points into a word of the mapping, which lives as long as `self`; the word is
        // used only as this half, so no atomic access of another size overlaps it.
        unsafe { &*word.cast::<AtomicU32>().add(half) }
    }

    /// Calls msync(2): afterwards the file on disk holds what the memory held.
    pub(super) fn flush(&self) -> io::Result<()> {
        self.map.flush()
    }
}

impl Memory for Map {
    type Word = AtomicU64;

    #[inline]
    fn words(&self) -> &[AtomicU64] {
        // SAFETY: the pointer must be aligned and point to `len / WORD` initialized words that are only
        // written through atomics while the slice lives. The mapping begins at a page and is `len` bytes long
        // while `self` lives; every bit pattern is a valid AtomicU64; this process reaches the memory through
        // these atomics only. The file is private to this user; other processes that map it, and programs
        // that write to it, change memory that may change at any time, which is what an atomic allows.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast(), self.map.len() / WORD) }
    }

    #[inline]
    fn preferred_lane(&self) -> usize {
        thread_number()
    }
}

thread_local! {
    static LANE: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Returns a number for this thread: threads that were created one after the other have different ones.
#[inline]
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let known = LANE.get();
    if known != usize::MAX {
        return known;
    }
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    LANE.set(number);
    number
}

/// A page that the kernel zeroes in a forked child (madvise(2), MADV_WIPEONFORK): asking it costs one load.
#[derive(Debug)]
struct ForkGuard {
    page: MmapRaw,
}

impl ForkGuard {
    fn new() -> io::Result<Self> {
        let page = MmapRaw::from(MmapMut::map_anon(WORD)?);
        #[cfg(target_os = "linux")]
        {
            use rustix::mm::{Advice, madvise};
            // SAFETY: the advice must not destroy memory that others rely on. The page was mapped in the line
            // above, nothing else refers to it, and it holds nothing yet; the advice takes effect only in a
            // child.
            let advised = unsafe { madvise(page.as_mut_ptr().cast(), page.len(), Advice::LinuxWipeOnFork) };
            // Kernels before 4.14 do not know this advice: there a child cannot be told from its parent.
            advised.unwrap_or(());
        }
        let guard = Self { page };
        guard.word().store(1, Ordering::Relaxed);
        Ok(guard)
    }

    #[inline]
    fn is_this_process(&self) -> bool {
        self.word().load(Ordering::Relaxed) == 1
    }

    #[inline]
    fn word(&self) -> &AtomicU64 {
        // SAFETY: the pointer must be aligned and point to a live, initialized word that is only written
        // through atomics. The anonymous page was zeroed, begins at a page boundary, belongs to `self` alone
        // and lives as long as `self`.
        unsafe { &*self.page.as_ptr().cast() }
    }
}
