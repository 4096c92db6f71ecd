//! Closes open trails when the process exits without closing them.
//!
//! The exit hook does not run after `kill -9` or abort. No entry is lost then either, since accepted entries
//! are in memory of the kernel; only the `close` record is missing.

use std::panic::catch_unwind;
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};

use auditx_store::writer::DROP_TIMEOUT;

use super::Core;

static OPEN: Mutex<Vec<Weak<Core>>> = Mutex::new(Vec::new());
static REGISTER: Once = Once::new();

pub(super) fn close_at_exit(core: &Arc<Core>) {
    REGISTER.call_once(|| {
        if !shutdown_hooks::add_shutdown_hook(close_all) {
            core.writer.report("cannot register an exit hook; call close() before the process ends");
        }
    });
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    open.retain(|known| known.strong_count() > 0);
    open.push(Arc::downgrade(core));
}

extern "C" fn close_all() {
    // A panic must not unwind into C, and cannot be reported anywhere at this point.
    drop(catch_unwind(|| {
        let open = std::mem::take(&mut *OPEN.lock().unwrap_or_else(PoisonError::into_inner));
        for core in open.iter().filter_map(Weak::upgrade) {
            if let Err(error) = core.writer.close(DROP_TIMEOUT) {
                core.writer.report(&format!("cannot close the trail at exit: {error}"));
            }
        }
    }));
}
