//! What later modules keep with a request, found by its type: a context says nothing of it, and hands it to nobody.

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::RequestContext;

type Attachment = Arc<dyn Any + Send + Sync>;

#[derive(Debug, Default)]
pub(super) struct Attachments {
    /// Most contexts have none, and are asked for each entry.
    is_used: AtomicBool,
    kept: Mutex<Vec<Attachment>>,
}

impl RequestContext {
    /// Keeps `value`; takes the place of an earlier one of its type.
    pub(crate) fn attach<T: Any + Send + Sync>(&self, value: Arc<T>) {
        let Attachments { is_used, kept } = &self.shared.attachments;
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|other| !(**other).is::<T>());
        kept.push(value);
        is_used.store(true, Ordering::Release);
    }

    /// What is kept of this type.
    #[inline]
    pub(crate) fn attached<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let Attachments { is_used, kept } = &self.shared.attachments;
        if !is_used.load(Ordering::Acquire) {
            return None;
        }
        let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find_map(|value| value.clone().downcast().ok())
    }
}
