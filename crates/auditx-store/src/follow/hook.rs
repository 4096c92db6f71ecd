//! Hooks: followers that call a function of the application for each entry.

use std::sync::Arc;

use auditx_format::HookError;
use auditx_format::line::RecordedEntry;

use super::Sink;
use crate::callback::calling;
use crate::config::{Hook, HookFn};

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
