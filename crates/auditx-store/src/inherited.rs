//! Descriptors that a forked child does not keep.
//!
//! Locks belong to an open file description, which a child shares: a trail would stay locked by a process
//! that was killed as long as one of its children lives. So each child replaces its copies by `/dev/null`
//! before it runs anything else. They are replaced and not closed, since their numbers belong to objects that
//! the child has copies of, too.

#![expect(unsafe_code, reason = "pthread_atfork(3) has no safe form")]

use std::fs::File;
use std::ops::Deref;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};

/// More than a process has open trails; beyond that a descriptor is inherited.
const MOST: usize = 256;

const FREE: i32 = -1;

static DESCRIPTORS: [AtomicI32; MOST] = [const { AtomicI32::new(FREE) }; MOST];

/// A descriptor of `/dev/null`; [`FREE`] if it could not be opened.
static NOTHING: AtomicI32 = AtomicI32::new(FREE);

/// Owns a descriptor that children of this process do not keep.
#[derive(Debug)]
pub(crate) struct NotInherited<T: AsRawFd> {
    owner: T,
    entry: Option<&'static AtomicI32>,
}

impl<T: AsRawFd> NotInherited<T> {
    pub(crate) fn new(owner: T) -> Self {
        prepare();
        let descriptor = owner.as_raw_fd();
        // ORDERING: a child is a copy of the process: it sees what the forking thread has seen. A descriptor
        // that another thread is just adding may be missed, and is then inherited.
        let entry = DESCRIPTORS.iter().find(|entry| {
            entry.compare_exchange(FREE, descriptor, Ordering::SeqCst, Ordering::SeqCst).is_ok()
        });
        Self { owner, entry }
    }
}

impl<T: AsRawFd> Deref for NotInherited<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.owner
    }
}

impl<T: AsRawFd> Drop for NotInherited<T> {
    fn drop(&mut self) {
        // Before the descriptor is closed, after which its number may be another file's.
        if let Some(entry) = self.entry {
            entry.store(FREE, Ordering::SeqCst);
        }
    }
}

fn prepare() {
    static PREPARED: OnceLock<()> = OnceLock::new();
    PREPARED.get_or_init(|| {
        if let Ok(nothing) = File::options().read(true).write(true).open("/dev/null") {
            // It stays open as long as the process lives.
            NOTHING.store(nothing.into_raw_fd(), Ordering::SeqCst);
            // SAFETY: the handler must be safe to call in a child of a program with threads: it loads atomics
            // and calls dup3(2), which is async-signal-safe. It is never unloaded: this crate is linked
            // statically, or lives in a library that stays loaded because of its threads.
            unsafe { libc::pthread_atfork(None, None, Some(forget)) };
        }
    });
}

/// Runs in a forked child.
extern "C" fn forget() {
    let nothing = NOTHING.load(Ordering::SeqCst);
    for entry in &DESCRIPTORS {
        let descriptor = entry.load(Ordering::SeqCst);
        if descriptor != FREE {
            // SAFETY: both are descriptors of this process, copies of those of the parent. Replacing one
            // closes the child's copy only. Whoever owns its number in the child reads and writes nothing
            // from then on.
            unsafe { libc::dup3(nothing, descriptor, libc::O_CLOEXEC) };
        }
    }
}
