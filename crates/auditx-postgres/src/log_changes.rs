//! Turns the messages of the log into changes that a collector can record.

use std::collections::HashMap;

use auditx_capture::{Change, Content, Operation, Series, Waiting};
use auditx_reader::Moment;

use crate::change::context;
use crate::logged_table::{Circumstances, LoggedTable, RowChange};
use crate::lsn::Lsn;
use crate::pgoutput::{Message, Relation};
use crate::value::Timestamptz;

/// The prefix of the message that has the context of the changes after it.
const CONTEXT: &str = "auditx.context";

/// The prefix of the message that says that settings of tables were changed.
const SETTINGS: &str = "auditx.settings";

/// The longest context, in bytes. As for triggers, a longer one is ignored.
const MAX_CONTEXT: usize = 64 * 1024;

/// What is known of the log at the place up to which it was read.
pub(crate) struct LogChanges {
    series: Series,
    tables: HashMap<u32, LoggedTable>,
    transaction: Option<Transaction>,
    /// The last change that is recorded already: the position of its commit, and its number.
    recorded: (u64, u32),
    next_key: i64,
    /// Everything that committed before this position was read.
    pub(crate) read_to: Lsn,
}

/// The transaction whose changes are read.
struct Transaction {
    commit: Lsn,
    circumstances: Circumstances,
    /// The number of the last change. Numbers begin with 1.
    index: u32,
}

/// What to do with a message.
pub(crate) enum Step {
    /// Nothing.
    Continue,
    /// Load the settings of this table, and pass it to [`LogChanges::describe`].
    Describe(Relation),
    /// Load the settings of all tables again, as this transaction committed them.
    DescribeAll(u64),
    Changes(Vec<Waiting>),
}

impl LogChanges {
    pub(crate) fn new(series: Series, read_to: Lsn) -> Self {
        let (tables, transaction) = (HashMap::new(), None);
        Self { series, tables, transaction, recorded: (0, 0), next_key: 1, read_to }
    }

    /// Skips the changes up to this one.
    pub(crate) fn resume(&mut self, position: u64, index: u32) {
        self.recorded = (position, index);
    }

    pub(crate) fn is_in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    pub(crate) fn describe(&mut self, oid: u32, table: LoggedTable) {
        self.tables.insert(oid, table);
    }

    /// Returns the time of the transaction that a message begins.
    pub(crate) fn time_of(message: &Message<'_>) -> Option<Moment> {
        let Message::Begin { micros, .. } = message else { return None };
        Some(Moment::from_micros(Timestamptz(*micros).unix_micros()))
    }

    /// Returns the row that says that changes are missing.
    pub(crate) fn lost(
        &mut self,
        slot: &str,
        recorded_to: Lsn,
        continues_at: Lsn,
    ) -> Result<Waiting, String> {
        let mut change = Change::new(Moment::now(), "database", "replication_slot", Operation::Lost);
        slot.clone_into(&mut change.key);
        change.old.insert("read_to".to_owned(), recorded_to.to_string().into());
        change.new.insert("continues_at".to_owned(), continues_at.to_string().into());
        // No change has the number 0, and none that follows is before this position.
        let id = self.series.id(continues_at.0, 0).ok_or("a position of the log that is too large")?;
        Ok(self.waiting(id, change))
    }

    fn waiting(&mut self, id: uuid::Uuid, change: Change) -> Waiting {
        let key = self.next_key;
        self.next_key += 1;
        Waiting::new(key, id, Content::Change(Box::new(change)))
    }

    /// Takes the next message. Fails if it cannot follow those before it.
    pub(crate) fn take(&mut self, message: Message<'_>) -> Result<Step, String> {
        let row = match message {
            Message::Begin { commit, .. } => {
                let at = Self::time_of(&message).unwrap_or(Moment::EPOCH);
                let circumstances = Circumstances { at, ..Circumstances::default() };
                self.transaction = Some(Transaction { commit, circumstances, index: 0 });
                return Ok(Step::Continue);
            }
            Message::Commit { end } => {
                self.transaction = None;
                self.read_to = self.read_to.max(end);
                return Ok(Step::Continue);
            }
            Message::Relation(relation) => return Ok(Step::Describe(relation)),
            Message::Emitted { prefix: CONTEXT, content } => {
                if let Some(transaction) = &mut self.transaction {
                    let object = if content.len() <= MAX_CONTEXT { content } else { b"" };
                    transaction.circumstances.context = context(serde_json::from_slice(object).ok());
                }
                return Ok(Step::Continue);
            }
            Message::Emitted { prefix: SETTINGS, content } => {
                let transaction = std::str::from_utf8(content).ok().and_then(|id| id.parse().ok());
                return transaction
                    .map(Step::DescribeAll)
                    .ok_or_else(|| "a message without its transaction".into());
            }
            Message::Emitted { .. } | Message::Other => return Ok(Step::Continue),
            Message::Truncate { relations } => {
                let truncated = |oid| self.number(oid, None);
                let rows = relations.into_iter().map(truncated).collect::<Result<Vec<_>, _>>()?;
                return Ok(Step::Changes(rows.into_iter().flatten().collect()));
            }
            Message::Insert { relation, new } => self.number(relation, Some(RowChange::Insert(new))),
            Message::Update { relation, old, new } => {
                self.number(relation, Some(RowChange::Update(old, new)))
            }
            Message::Delete { relation, old } => self.number(relation, Some(RowChange::Delete(old))),
        };
        Ok(Step::Changes(row?.into_iter().collect()))
    }

    /// Returns the change of a row, or of all rows; `None` if nothing is noted of it or if it is recorded
    /// already. It has its number in any case: that must not depend on the settings, which may differ at the
    /// next reading.
    fn number(&mut self, oid: u32, row: Option<RowChange<'_>>) -> Result<Option<Waiting>, String> {
        let transaction = self.transaction.as_mut().ok_or("a change outside a transaction")?;
        transaction.index = transaction.index.checked_add(1).ok_or("too many changes in a transaction")?;
        let place = (transaction.commit.0, transaction.index);
        if place <= self.recorded {
            return Ok(None);
        }
        let table = self.tables.get(&oid).ok_or("a change of a table that was not described")?;
        let change = match row {
            Some(row) => table.changed(row, &transaction.circumstances),
            None => Some(table.truncated(&transaction.circumstances)),
        };
        let Some(change) = change else { return Ok(None) };
        let id = self.series.id(place.0, place.1).ok_or("a position of the log that is too large")?;
        Ok(Some(self.waiting(id, change)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pgoutput::{Cell, Column};

    fn changes() -> LogChanges {
        let mut changes = LogChanges::new(Series::new(b"erp"), Lsn(0));
        let columns = vec![Column { name: "id".to_owned(), type_oid: 23, is_key: true }];
        let relation = Relation { oid: 7, schema: "public".to_owned(), name: "t".to_owned(), columns };
        changes.describe(7, LoggedTable::new(&relation, None, &HashMap::new()));
        changes
    }

    fn begin(commit: u64) -> Message<'static> {
        Message::Begin { commit: Lsn(commit), micros: 0 }
    }

    fn insert() -> Message<'static> {
        Message::Insert { relation: 7, new: vec![Cell::Text("1")] }
    }

    fn rows(changes: &mut LogChanges, messages: Vec<Message<'_>>) -> Vec<Waiting> {
        let step = |message| match changes.take(message).unwrap() {
            Step::Changes(rows) => rows,
            _ => Vec::new(),
        };
        messages.into_iter().flat_map(step).collect()
    }

    #[test]
    fn a_change_has_the_same_id_at_each_reading_and_recorded_ones_are_skipped() {
        let transaction = || vec![begin(8), insert(), insert(), insert(), Message::Commit { end: Lsn(16) }];
        let first = rows(&mut changes(), transaction());
        assert_eq!(first.len(), 3);
        let mut again = changes();
        let (position, index) = Series::new(b"erp").place(first[1].id).unwrap();
        again.resume(position, index);
        let rest = rows(&mut again, transaction());
        assert_eq!((rest.len(), rest[0].id), (1, first[2].id));
        assert_eq!((again.read_to, again.is_in_transaction()), (Lsn(16), false));
    }

    #[test]
    fn the_last_context_before_a_change_counts_and_ends_with_the_transaction() {
        let emitted = |content| Message::Emitted { prefix: CONTEXT, content };
        let messages = vec![
            begin(8),
            insert(),
            emitted(br#"{"user":"thida"}"#),
            insert(),
            Message::Emitted { prefix: "other", content: br#"{"user":"x"}"# },
            emitted(br#"{"user":"mya"}"#),
            insert(),
            emitted(b"[1]"),
            insert(),
            emitted(br#"{"user":"mya"}"#),
            Message::Commit { end: Lsn(16) },
            begin(24),
            insert(),
        ];
        let user = |row: &Waiting| match &row.content {
            Content::Change(change) => change.context.get("user").cloned(),
            _ => panic!(),
        };
        let users: Vec<Option<String>> = rows(&mut changes(), messages).iter().map(user).collect();
        assert_eq!(users, [None, Some("thida".to_owned()), Some("mya".to_owned()), None, None]);
    }

    #[test]
    fn messages_in_a_wrong_order_are_refused() {
        let refused = |messages: Vec<Message<'_>>| {
            let mut changes = changes();
            messages.into_iter().find_map(|message| changes.take(message).err())
        };
        assert_eq!(refused(vec![insert()]).unwrap(), "a change outside a transaction");
        let unknown = Message::Truncate { relations: vec![9] };
        assert_eq!(refused(vec![begin(8), unknown]).unwrap(), "a change of a table that was not described");
    }

    #[test]
    fn a_gap_is_ordered_before_what_follows_it() {
        let mut changes = changes();
        let gap = changes.lost("auditx_5", Lsn(8), Lsn(16)).unwrap();
        let next = rows(&mut changes, vec![begin(16), insert()]);
        assert!(gap.id < next[0].id && gap.key < next[0].key);
    }
}
