//! The ring's file in memory, and how a forked child is told from its parent. All unsafe code of the ring is here.

#![expect(unsafe_code, reason = "mapped memory is reached through pointers")]

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{MmapMut, MmapOptions, MmapRaw};

use super::layout::WORD;
use super::word::Memory;

/// A mapped file whose blocks are all allocated, shared with the kernel and with nobody else.
#[derive(Debug)]
pub(crate) struct Map {
    map: MmapRaw,
    parent: Parent,
}

impl Map {
    /// Maps the first `len` bytes of a file that has at least as many.
    pub(super) fn new(file: &File, len: usize) -> io::Result<Self> {
        let map = MmapOptions::new().len(len).map_raw(file)?;
        Ok(Self { map, parent: Parent::new()? })
    }

    /// Whether this process mapped it, and not one that was forked off it: there nobody drains the ring.
    #[inline]
    pub(crate) fn is_ours(&self) -> bool {
        self.parent.is_us()
    }

    /// Makes every page writable now, so that callers do not wait for page faults later.
    pub(crate) fn populate(&self) {
        // Kernels before 5.14 do not know this advice; the pages are then made ready when they are touched.
        #[cfg(target_os = "linux")]
        drop(self.map.advise(memmap2::Advice::PopulateWrite));
    }

    /// Maps another file in the place of this one, at the same address. The file must be at least as long.
    #[cfg(target_os = "linux")]
    pub(super) fn remap(&self, file: &File) -> io::Result<()> {
        use rustix::mm::{MapFlags, ProtFlags, mmap};
        if file.metadata()?.len() < self.map.len() as u64 {
            return Err(io::Error::other("the file is shorter than its mapping"));
        }
        let (address, len) = (self.map.as_mut_ptr().cast(), self.map.len());
        let flags = MapFlags::SHARED | MapFlags::FIXED;
        // SAFETY: the range is this mapping's own, which stays mapped: MAP_FIXED replaces its pages in one step, and the kernel
        // makes an access that comes in between wait. The words reached through `words` keep their addresses, and every bit
        // pattern is a valid AtomicU64. Dropping `map` unmaps the range as before.
        unsafe { mmap(address, len, ProtFlags::READ | ProtFlags::WRITE, flags, file, 0) }?;
        self.populate();
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn remap(&self, _file: &File) -> io::Result<()> {
        Err(io::Error::other("a ring is only used on Linux"))
    }

    /// msync(2): afterwards the file on disk is what the memory was.
    pub(super) fn flush(&self) -> io::Result<()> {
        self.map.flush()
    }
}

impl Memory for Map {
    type Word = AtomicU64;

    #[inline]
    fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping begins at a page and is `len` bytes long for as long as `self` lives; every bit pattern is a
        // valid AtomicU64; all code of this process reaches the memory through these atomics only. The file is private to
        // this user and locked by us; whoever writes to it all the same writes to memory that may change at any time, which
        // is what an atomic allows.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast(), self.map.len() / WORD) }
    }
}

/// A page that the kernel empties in a forked child (madvise(2), MADV_WIPEONFORK): asking it costs one load.
#[derive(Debug)]
struct Parent {
    page: MmapRaw,
}

impl Parent {
    fn new() -> io::Result<Self> {
        let page = MmapRaw::from(MmapMut::map_anon(WORD)?);
        #[cfg(target_os = "linux")]
        {
            use rustix::mm::{Advice, madvise};
            // SAFETY: the page is ours and holds nothing yet.
            let advised = unsafe { madvise(page.as_mut_ptr().cast(), page.len(), Advice::LinuxWipeOnFork) };
            // Kernels before 4.14 do not know this advice: there a child is not told from its parent.
            advised.unwrap_or(());
        }
        let parent = Self { page };
        parent.word().store(1, Ordering::Relaxed);
        Ok(parent)
    }

    #[inline]
    fn is_us(&self) -> bool {
        self.word().load(Ordering::Relaxed) == 1
    }

    #[inline]
    fn word(&self) -> &AtomicU64 {
        // SAFETY: the page is ours alone, aligned, and lives as long as `self`.
        unsafe { &*self.page.as_ptr().cast() }
    }
}
