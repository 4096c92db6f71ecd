//! Computes the fields that differ between two snapshots of a record.

mod key;
mod path;
mod serializer;

use std::collections::BTreeMap;

use auditx_format::snapshot::Snapshot;
use auditx_format::{Error, Result};
use serde::Serialize;

use super::{Change, EntryBuilder};

impl EntryBuilder<'_, Change> {
    /// Compares the record before and after the change, and sets `old_values` and `new_values` to the fields
    /// that differ, including nested fields. Pass `&None` before the creation of a record, or after its
    /// deletion.
    ///
    /// Numbers of any size keep every digit, including `u128` and the text of a `RawValue`. Both records are
    /// copied once.
    ///
    /// ```
    /// use auditx_core::{AuditAction, AuditLogger, BusinessModule, Config};
    /// # let directory = tempfile::tempdir()?;
    /// # let log_dir = directory.path();
    ///
    /// #[derive(serde::Serialize)]
    /// struct Account {
    ///     owner: &'static str,
    ///     wei: u128,
    /// }
    ///
    /// let before = Account { owner: "Golden Trading Co.", wei: u128::MAX };
    /// let after = Account { wei: 0, ..before };
    /// let logger = AuditLogger::open(Config::new(log_dir))?;
    /// logger
    ///     .log_change("Swept", BusinessModule::Accounting, AuditAction::Update, "account", "7")
    ///     .changes(&before, &after)?
    ///     .record()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `is_invalid` if a value cannot be stored as JSON: NaN, an infinity, a map key that is not text, a
    /// number or a boolean, or more than 100 levels of nesting. The message has the path of the field, such
    /// as `customer.limits[2].amount`.
    pub fn changes<T: Serialize>(mut self, before: &T, after: &T) -> Result<Self> {
        let before = snapshot("the record before the change", before)?;
        let after = snapshot("the record after the change", after)?;
        let (old, new) = between(before, after);
        self.entry.old_values = old.map(Into::into);
        self.entry.new_values = new.map(Into::into);
        Ok(self)
    }
}

/// Returns the record as JSON. `what` names the record in an error.
///
/// # Errors
/// `is_invalid`, with the path of the field, if a value cannot be stored as JSON.
fn snapshot(what: &str, record: &impl Serialize) -> Result<Snapshot> {
    serializer::to_snapshot(record).map_err(|error| Error::invalid(format!("{what}: {error}")))
}

/// Returns the parts of both that differ. Objects are compared field by field at any depth, other values as a
/// whole.
fn between(before: Snapshot, after: Snapshot) -> (Option<Snapshot>, Option<Snapshot>) {
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
