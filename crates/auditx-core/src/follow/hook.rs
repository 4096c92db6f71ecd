//! Hooks: followers that call a function of the application for each entry.

use std::sync::Arc;

use super::Sink;
use crate::callback::calling;
use crate::config::{Hook, HookFn};
use crate::error::HookError;
use crate::line::RecordedEntry;

pub(super) struct HookSink(Arc<HookFn>);

impl HookSink {
    pub(super) fn new(hook: &Hook) -> Self {
        Self(hook.run.clone())
    }
}

impl Sink for HookSink {
    fn take(&mut self, entry: &RecordedEntry<'_>) -> Result<(), HookError> {
        calling(|| (self.0)(entry))
    }
}
