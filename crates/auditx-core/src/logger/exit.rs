//! Leaving the process without closing: a hook closes whatever is still open. What it cannot reach (`kill -9`, abort)
//! costs nothing either, since accepted entries are the kernel's; only the `close` record is then missing.

use std::panic::catch_unwind;
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};

use super::{Core, DROP_TIMEOUT};

static OPEN: Mutex<Vec<Weak<Core>>> = Mutex::new(Vec::new());
static REGISTER: Once = Once::new();

pub(super) fn close_at_exit(core: &Arc<Core>) {
    REGISTER.call_once(|| {
        if !shutdown_hooks::add_shutdown_hook(close_all) {
            core.app_log.trouble("no exit hook can be registered: call close() before the process ends");
        }
    });
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    open.retain(|known| known.strong_count() > 0);
    open.push(Arc::downgrade(core));
}

extern "C" fn close_all() {
    // A panic must not cross into C; there is nobody left to tell.
    drop(catch_unwind(|| {
        let open = std::mem::take(&mut *OPEN.lock().unwrap_or_else(PoisonError::into_inner));
        for core in open.iter().filter_map(Weak::upgrade) {
            if let Err(error) = core.close(DROP_TIMEOUT) {
                core.app_log.trouble(&format!("closing the trail at exit: {error}"));
            }
        }
    }));
}
