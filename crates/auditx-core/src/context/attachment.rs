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

    /// Whether anything is kept.
    #[inline]
    pub(crate) fn has_attachments(&self) -> bool {
        self.shared.attachments.is_used.load(Ordering::Acquire)
    }

    /// What is kept of this type.
    pub(crate) fn attached<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        if !self.has_attachments() {
            return None;
        }
        let kept = self.shared.attachments.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find_map(|value| value.clone().downcast().ok())
    }
}
