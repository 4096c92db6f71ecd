//! What is kept of the entries that name one field.

use std::sync::Arc;

use auditx_format::row::Json;

use crate::query::is_equal;

use super::{EntryRef, Since};

/// What an entry says about a field.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) entry: Arc<EntryRef>,
    /// The JSON text of the value; `None` if the field has none, or if the entry does not say which.
    pub(super) value: Option<String>,
}

/// The entries nearest to the time that name one field.
#[derive(Debug, Clone, Default)]
pub(super) struct Slot {
    /// The latest one up to the time.
    latest: Option<Event>,
    /// The latest one up to the time that changed the value. Others only repeat it.
    changed: Option<Event>,
    /// The first one after the time, with its old value.
    next: Option<Event>,
}

impl Slot {
    pub(super) fn latest(&self) -> Option<&Event> {
        self.latest.as_ref()
    }

    /// Adds an entry up to the time. `was_equal` if it says that the value was the same before.
    pub(super) fn set(&mut self, event: Event, was_equal: bool) {
        if !was_equal {
            keep_latest(&mut self.changed, &event);
        }
        keep_latest(&mut self.latest, &event);
    }

    /// Adds an entry after the time.
    pub(super) fn set_next(&mut self, event: Event) {
        if self.next.as_ref().is_none_or(|next| event.entry < next.entry) {
            self.next = Some(event);
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        other.latest.iter().for_each(|event| keep_latest(&mut self.latest, event));
        other.changed.iter().for_each(|event| keep_latest(&mut self.changed, event));
        other.next.into_iter().for_each(|event| self.set_next(event));
    }

    /// Returns the value of the latest entry, and since when the field has it.
    pub(super) fn value_since(&self, is_alive: impl Fn(&Arc<EntryRef>) -> bool) -> Option<(String, Since)> {
        let latest = self.latest.as_ref()?;
        let value = latest.value.clone()?;
        let changed = self.changed.as_ref().filter(|changed| is_alive(&changed.entry));
        let since = match changed {
            Some(changed) if is_same(changed, &value) => Since::Set(EntryRef::clone(&changed.entry)),
            _ => Since::Before(EntryRef::clone(&latest.entry)),
        };
        Some((value, since))
    }

    /// Returns the old value of the first entry after the time, unless it is after `boundary`.
    pub(super) fn value_before(&self, boundary: Option<&Arc<EntryRef>>) -> Option<(String, Since)> {
        let next =
            self.next.as_ref().filter(|next| boundary.is_none_or(|boundary| next.entry <= *boundary))?;
        Some((next.value.clone()?, Since::Before(EntryRef::clone(&next.entry))))
    }
}

/// Whether an entry set this value, which may be written in another way.
fn is_same(event: &Event, value: &str) -> bool {
    let values = event.value.as_deref().and_then(Json::read).zip(Json::read(value));
    values.is_some_and(|(one, other)| is_equal(one, other))
}

fn keep_latest(kept: &mut Option<Event>, event: &Event) {
    if kept.as_ref().is_none_or(|kept| kept.entry < event.entry) {
        *kept = Some(event.clone());
    }
}

/// Keeps the earlier one of two entries.
pub(super) fn earlier(kept: &mut Option<Arc<EntryRef>>, entry: &Arc<EntryRef>) {
    if kept.as_ref().is_none_or(|kept| entry < kept) {
        *kept = Some(Arc::clone(entry));
    }
}

/// Keeps the later one of two entries.
pub(super) fn later(kept: &mut Option<Arc<EntryRef>>, entry: &Arc<EntryRef>) {
    if kept.as_ref().is_none_or(|kept| kept < entry) {
        *kept = Some(Arc::clone(entry));
    }
}
