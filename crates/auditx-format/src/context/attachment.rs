//! Values that other modules attach to a context, one per type.
//!
//! Attachments are not fields: they appear in no entry and no carrier.

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::RequestContext;

type Attachment = Arc<dyn Any + Send + Sync>;

#[derive(Debug, Default)]
pub(super) struct Attachments {
    /// Avoids the lock for contexts without attachments, which are most: each entry looks for one.
    is_used: AtomicBool,
    values: Mutex<Vec<Attachment>>,
}

impl RequestContext {
    /// Attaches `value`, replacing an earlier value of the same type.
    #[doc(hidden)]
    pub fn attach<T: Any + Send + Sync>(&self, value: Arc<T>) {
        let Attachments { is_used, values } = &self.shared.attachments;
        let mut values = values.lock().unwrap_or_else(PoisonError::into_inner);
        values.retain(|other| !(**other).is::<T>());
        values.push(value);
        // ORDERING: pairs with the Acquire load in `attached`. The mutex publishes the values, so Relaxed
        // would do.
        is_used.store(true, Ordering::Release);
    }

    /// Returns the attached value of this type, if any.
    #[doc(hidden)]
    #[inline]
    pub fn attached<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let Attachments { is_used, values } = &self.shared.attachments;
        // ORDERING: pairs with the Release store in `attach`. A stale `false` misses only a value that
        // another thread attaches at this moment.
        if !is_used.load(Ordering::Acquire) {
            return None;
        }
        let values = values.lock().unwrap_or_else(PoisonError::into_inner);
        values.iter().find_map(|value| value.clone().downcast().ok())
    }
}
