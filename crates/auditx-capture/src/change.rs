//! A change of a row of a table, as a trigger notes it, and the entry that it becomes.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use auditx_core::{
    AuditAction, AuditLogger, BusinessModule, Carrier, EncodedEntry, Error, LogLevel, RequestContext,
};
use auditx_reader::Moment;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// The user of an entry if nothing says who it was.
const UNKNOWN_USER: &str = "UNKNOWN";

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// It was inserted.
    Insert,
    /// It was updated.
    Update,
    /// It was deleted.
    Delete,
    /// All rows of the table were removed at once; which ones is not known.
    Truncate,
    /// Changes of the source `table` are missing: `old` says up to where they were read, `new` from where on
    /// they are read again.
    Lost,
}

/// A change of a row of a table.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Change {
    /// When the statement ran.
    pub at: Moment,
    /// The module of the entry.
    pub module: String,
    /// The table.
    pub table: String,
    /// The key of the row; empty if there is none.
    pub key: String,
    /// What happened.
    pub operation: Operation,
    /// The columns that differ, before the change.
    pub old: Map<String, Value>,
    /// The columns that differ, after it.
    pub new: Map<String, Value>,
    /// The user of the database; empty if it is not known.
    pub database_user: String,
    /// The context that the application carried into the transaction ([`RequestContext::to_carrier`]).
    pub context: BTreeMap<String, String>,
}

impl Change {
    /// Creates a change without columns, database user and context.
    #[must_use]
    pub fn new(
        at: Moment,
        module: impl Into<String>,
        table: impl Into<String>,
        operation: Operation,
    ) -> Self {
        Self {
            at,
            module: module.into(),
            table: table.into(),
            key: String::new(),
            operation,
            old: Map::new(),
            new: Map::new(),
            database_user: String::new(),
            context: BTreeMap::new(),
        }
    }

    /// Returns the entry with this id. If its columns are too long for a line, it has their hashes instead.
    pub(crate) fn encoded(&self, logger: &AuditLogger, id: Uuid) -> Result<EncodedEntry, Error> {
        match self.encoded_with(logger, id, &self.old, &self.new) {
            Err(error) if error.is_too_large() => {
                self.encoded_with(logger, id, &hashed(&self.old), &hashed(&self.new))
            }
            other => other,
        }
    }

    fn encoded_with(
        &self,
        logger: &AuditLogger,
        id: Uuid,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
    ) -> Result<EncodedEntry, Error> {
        let (action, what) = match self.operation {
            Operation::Insert => (AuditAction::Create, "inserted"),
            Operation::Update => (AuditAction::Update, "updated"),
            Operation::Delete => (AuditAction::Delete, "deleted"),
            Operation::Truncate => (AuditAction::Delete, "truncated"),
            Operation::Lost => (AuditAction::other("CHANGES_LOST"), "has lost changes"),
        };
        let description = match self.key.as_str() {
            "" => format!("{} {what}", self.table),
            key => format!("{} {key} {what}", self.table),
        };
        let module = self.module.parse().unwrap_or_else(|_| BusinessModule::other(self.module.clone()));
        let context = self.context();
        // Somebody who changed the database directly has no context, and is its user.
        let has_user = context.read(|fields| !fields.user.is_empty());
        let _scope = context.enter();
        let mut entry =
            logger.log_change(description, module, action, self.table.as_str(), self.key.as_str());
        if !self.database_user.is_empty() {
            entry = entry.metadata("database_user", self.database_user.as_str());
        }
        if !has_user {
            entry = entry.user(match self.database_user.as_str() {
                "" => UNKNOWN_USER,
                user => user,
            });
        }
        if self.operation == Operation::Truncate {
            // Tells readers, such as `RecordAt`, that every record of the table ended.
            entry = entry.metadata("truncated", true);
        }
        if self.operation == Operation::Lost {
            entry = entry.level(LogLevel::Critical).success(false);
        }
        if !old.is_empty() {
            entry = entry.old_values(Value::Object(old.clone()));
        }
        if !new.is_empty() {
            entry = entry.new_values(Value::Object(new.clone()));
        }
        let since = Duration::from_micros(self.at.micros().max(0).unsigned_abs());
        entry.encode_as(id, SystemTime::UNIX_EPOCH + since)
    }

    fn context(&self) -> RequestContext {
        let carrier = self.context.iter().map(|(key, value)| (key.clone(), value.clone()));
        // A context that cannot be read is no reason to lose the change.
        RequestContext::from_carrier(&carrier.collect::<Carrier>()).unwrap_or_default()
    }
}

/// Replaces long columns by their length and hash.
fn hashed(columns: &Map<String, Value>) -> Map<String, Value> {
    const MAX: usize = 64;
    let short = |value: &Value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if text.len() <= MAX {
            return value.clone();
        }
        let hash: String = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
        serde_json::json!({ "bytes": text.len(), "sha256": hash })
    };
    columns.iter().map(|(name, value)| (name.clone(), short(value))).collect()
}

#[cfg(test)]
mod tests {
    use auditx_core::Config;

    use super::*;

    #[test]
    fn only_a_truncation_says_so_in_its_metadata() {
        let directory = tempfile::tempdir().unwrap();
        let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
        let is_marked = |operation| {
            let change = Change::new(Moment::EPOCH, "crm", "customer", operation);
            let entry = change.encoded(&logger, Uuid::from_u128(1)).unwrap();
            let entry: Value = serde_json::from_str(entry.as_str()).unwrap();
            entry["metadata"]["truncated"] == true
        };
        assert!(is_marked(Operation::Truncate));
        assert!(!is_marked(Operation::Delete));
    }
}
