//! Which fields differ between two snapshots of a record.

mod key;
mod path;
mod serializer;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::snapshot::Snapshot;

/// The record as JSON. `what` names it in an error.
///
/// # Errors
/// `is_invalid`, with the path of the field, for what JSON cannot hold.
pub(super) fn snapshot(what: &str, record: &impl Serialize) -> Result<Snapshot> {
    serializer::to_snapshot(record).map_err(|error| Error::invalid(format!("{what}: {error}")))
}

/// The differing parts of both. Objects are compared field by field at any depth, everything else as a whole.
pub(super) fn between(before: Snapshot, after: Snapshot) -> (Option<Snapshot>, Option<Snapshot>) {
    match (before, after) {
        (before, after) if before == after => (None, None),
        (Snapshot::Object(before), Snapshot::Object(after)) => between_objects(before, after),
        (before, after) => (Some(before), Some(after)),
    }
}

fn between_objects(
    before: BTreeMap<String, Snapshot>,
    mut after: BTreeMap<String, Snapshot>,
) -> (Option<Snapshot>, Option<Snapshot>) {
    let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
    for (key, before) in before {
        let (old_part, new_part) = match after.remove(&key) {
            Some(after) => between(before, after),
            None => (Some(before), None),
        };
        old.extend(old_part.map(|part| (key.clone(), part)));
        new.extend(new_part.map(|part| (key, part)));
    }
    new.extend(after);
    let some = |members: BTreeMap<_, _>| (!members.is_empty()).then_some(Snapshot::Object(members));
    (some(old), some(new))
}

#[cfg(test)]
mod tests;
