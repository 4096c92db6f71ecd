//! A collector with an outbox in memory that fails at any step.

use std::collections::{BTreeMap, VecDeque};

use auditx_core::{AuditAction, BusinessModule, Config, RequestContext};
use auditx_reader::{Field, Lines, Moment};
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::change::{Change, Operation};

const TIMEOUT: Duration = Duration::from_secs(60);

/// The tables of a database that several connections share.
#[derive(Default)]
struct Tables {
    rows: BTreeMap<i64, (Uuid, Content)>,
    refused: Vec<(i64, String)>,
    /// The next calls of `remove`: what they do besides.
    removals: VecDeque<Removal>,
    /// What another collector does when the connection of this one breaks, which happens once.
    other: Option<Box<dyn FnOnce() + Send>>,
}

#[derive(Clone, Copy)]
enum Removal {
    Fails,
    /// The database did it, but the connection broke before it said so.
    IsDoneAndFails,
}

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Tables>>);

impl Memory {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap()
    }

    fn store(&self, id: Uuid, content: Content) {
        let mut tables = self.tables();
        let key = tables.rows.last_key_value().map_or(1, |(key, _)| key + 1);
        tables.rows.insert(key, (id, content));
    }

    fn store_entry(&self, logger: &AuditLogger, number: usize) {
        let entry = logger.log(format!("Invoice {number} posted")).encode().unwrap();
        self.store(entry.id(), Content::Entry(entry.to_string()));
    }
}

impl Outbox for Memory {
    fn waiting(&mut self) -> Result<Option<(Vec<Uuid>, Moment)>> {
        let ids: Vec<Uuid> = self.tables().rows.values().map(|(id, _)| *id).collect();
        Ok((!ids.is_empty()).then(|| (ids, Moment::now().before(TIMEOUT))))
    }

    fn take(&mut self, limit: usize) -> Result<Vec<Waiting>> {
        let mut tables = self.tables();
        if let Some(other) = tables.other.take() {
            other();
            return Err(Error::database("the connection broke"));
        }
        let rows = tables.rows.iter().take(limit);
        Ok(rows.map(|(key, (id, content))| Waiting::new(*key, *id, content.clone())).collect())
    }

    fn remove(&mut self, keys: &[i64]) -> Result<()> {
        let mut tables = self.tables();
        let removal = tables.removals.pop_front();
        if !matches!(removal, Some(Removal::Fails)) {
            tables.rows.retain(|key, _| !keys.contains(key));
        }
        if removal.is_some() { Err(Error::database("the connection broke")) } else { Ok(()) }
    }

    fn refuse(&mut self, key: i64, reason: &str) -> Result<()> {
        let mut tables = self.tables();
        tables.rows.remove(&key);
        tables.refused.push((key, reason.to_owned()));
        Ok(())
    }

    fn wait(&mut self, _timeout: Duration) -> Result<()> {
        thread::yield_now();
        Ok(())
    }
}

fn opened() -> (TempDir, AuditLogger) {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
    (directory, logger)
}

/// Waits until the outbox is empty.
fn emptied(collector: &Collector, memory: &Memory) {
    let before = collector.progress().emptied;
    let is_done = collector.wait_until(TIMEOUT, |progress| progress.emptied > before + 1);
    assert!(is_done && memory.tables().rows.is_empty(), "{:?}", collector.progress());
}

fn descriptions(directory: &TempDir, logger: &AuditLogger) -> Vec<String> {
    logger.flush(TIMEOUT).unwrap();
    let lines = Lines::all(directory.path()).unwrap().map(|line| line.unwrap());
    let entries = lines.filter_map(|line| {
        let row = line.row().unwrap();
        let is_own = row.text(Field::User) != "SYSTEM" || row.text(Field::Description).contains("Invoice");
        is_own.then(|| row.text(Field::Description).into_owned())
    });
    entries.collect()
}

fn invoices(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("Invoice {number} posted")).collect()
}

#[test]
fn entries_are_recorded_as_they_were_encoded_and_in_order() {
    let (directory, logger) = opened();
    let memory = Memory::default();
    let scope = RequestContext::new().user("thida").request_id("r1").enter();
    let entry = logger.log_transaction(
        "Invoice posted",
        BusinessModule::Sales,
        AuditAction::Post,
        "SI-1",
        "1250000.10".parse::<auditx_core::Amount>().unwrap(),
    );
    let entry = entry.encode().unwrap();
    drop(scope);
    memory.store(entry.id(), Content::Entry(entry.to_string()));
    (0..5_000).for_each(|number| memory.store_entry(&logger, number));
    let collector = Collector::spawn(&logger, memory.clone()).unwrap();
    emptied(&collector, &memory);
    assert_eq!(collector.progress().collected, 5_001);
    let found = descriptions(&directory, &logger);
    assert_eq!(found[0], "Invoice posted");
    assert_eq!(found[1..], invoices(0..5_000));
    let line = Lines::all(directory.path()).unwrap().map(|line| line.unwrap());
    let line =
        line.map(|line| line.row().unwrap().line().to_owned()).find(|line| line.contains("SI-1")).unwrap();
    assert!(line.ends_with(&entry.as_str()[1..]), "{line}");
}

#[test]
fn an_entry_is_recorded_once_whatever_happens_to_its_removal() {
    for removal in [Removal::Fails, Removal::IsDoneAndFails] {
        let (directory, logger) = opened();
        let memory = Memory::default();
        memory.tables().removals.extend([removal; 3]);
        (0..50).for_each(|number| memory.store_entry(&logger, number));
        let collector = Collector::spawn(&logger, memory.clone()).unwrap();
        emptied(&collector, &memory);
        assert_eq!(descriptions(&directory, &logger), invoices(0..50));
        assert_eq!(collector.progress().error, "");
    }
}

#[test]
fn the_time_of_the_oldest_entry_is_known_while_it_waits() {
    let (_directory, logger) = opened();
    let memory = Memory::default();
    memory.tables().removals.extend([Removal::Fails; 1_000]);
    let entry = logger.log("Invoice 0 posted").encode().unwrap();
    memory.store(entry.id(), Content::Entry(entry.to_string()));
    memory.store_entry(&logger, 1);
    let collector = Collector::spawn(&logger, memory.clone()).unwrap();
    assert!(collector.wait_until(TIMEOUT, |progress| progress.oldest.is_some()));
    assert_eq!(collector.progress().oldest.map(Moment::from), Some(entry.at()));
    memory.tables().removals.clear();
    emptied(&collector, &memory);
    assert_eq!(collector.progress().oldest, None);
}

#[test]
fn a_collector_removes_what_an_earlier_one_recorded() {
    let (directory, logger) = opened();
    let memory = Memory::default();
    (0..50).for_each(|number| memory.store_entry(&logger, number));
    // A collector that ended after it recorded thirty of them.
    for (_, (_, content)) in memory.tables().rows.iter().take(30) {
        let Content::Entry(text) = content else { panic!("an entry was stored") };
        logger.record_encoded(&EncodedEntry::parse(text.as_str()).unwrap()).unwrap();
    }
    let collector = Collector::spawn(&logger, memory.clone()).unwrap();
    emptied(&collector, &memory);
    assert_eq!(descriptions(&directory, &logger), invoices(0..50));
}

#[test]
fn what_another_collector_recorded_while_the_connection_was_lost_is_not_recorded_again() {
    let (directory, logger) = opened();
    let memory = Memory::default();
    (0..50).for_each(|number| memory.store_entry(&logger, number));
    let entries = memory.tables().rows.values().take(30).cloned().collect::<Vec<_>>();
    let trail = logger.clone();
    memory.tables().other = Some(Box::new(move || {
        for (_, content) in entries {
            let Content::Entry(text) = content else { panic!("an entry was stored") };
            trail.record_encoded(&EncodedEntry::parse(text).unwrap()).unwrap();
        }
    }));
    let collector = Collector::spawn(&logger, memory.clone()).unwrap();
    emptied(&collector, &memory);
    assert_eq!(descriptions(&directory, &logger), invoices(0..50));
}

#[test]
fn a_row_that_cannot_be_an_entry_is_set_aside_with_the_reason() {
    let (directory, logger) = opened();
    let memory = Memory::default();
    let control = "{\"id\":\"01a22bc5-e963-721d-b4bc-4216a728182d\",\"auditx\":{}}";
    memory.store(Uuid::nil(), Content::Entry(control.to_owned()));
    let entry = logger.log("Invoice of another id").encode().unwrap();
    memory.store(Uuid::nil(), Content::Entry(entry.to_string()));
    memory.store_entry(&logger, 0);
    let collector = Collector::spawn(&logger, memory.clone()).unwrap();
    emptied(&collector, &memory);
    assert_eq!(descriptions(&directory, &logger), invoices(0..1));
    let refused = memory.tables().refused.clone();
    assert_eq!(refused.len(), 2);
    assert!(refused[0].1.contains("does not begin with"), "{refused:?}");
    assert!(refused[1].1.contains("the id of the row is"), "{refused:?}");
    assert_eq!(collector.progress().refused, 2);
}

#[test]
fn a_change_of_nothing_is_removed() {
    let (directory, logger) = opened();
    let memory = Memory::default();
    memory.store(Uuid::nil(), Content::Nothing);
    memory.store_entry(&logger, 0);
    let collector = Collector::spawn(&logger, memory.clone()).unwrap();
    emptied(&collector, &memory);
    assert_eq!(descriptions(&directory, &logger), invoices(0..1));
    let progress = collector.progress();
    assert_eq!((progress.collected, progress.refused), (1, 0));
}

#[test]
fn a_change_becomes_an_entry_with_its_context_or_the_user_of_the_database() {
    let (directory, logger) = opened();
    let memory = Memory::default();
    let at = Moment::parse("2026-11-24T09:00:00.123456Z").unwrap();
    let mut change = Change::new(at, "crm", "customer", Operation::Update);
    change.key = "42".to_owned();
    change.old.insert("limit".to_owned(), 500.into());
    change.new.insert("limit".to_owned(), 900.into());
    change.database_user = "erp".to_owned();
    let context = RequestContext::new().user("thida").branch_id("YGN");
    change.context = context.to_carrier().iter().map(|(key, value)| (key.into(), value.into())).collect();
    let mut direct = change.clone();
    direct.context.clear();
    direct.new.insert("photo".to_owned(), Value::from("x".repeat(100_000)));
    let ids = [Uuid::from_u128(1), Uuid::from_u128(2)];
    memory.store(ids[0], Content::Change(Box::new(change)));
    memory.store(ids[1], Content::Change(Box::new(direct)));
    let collector = Collector::spawn(&logger, memory.clone()).unwrap();
    emptied(&collector, &memory);
    let entries: Vec<_> = Lines::all(directory.path())
        .unwrap()
        .filter_map(|line| {
            Some(line.unwrap().parse().unwrap()).filter(|entry| entry.entity_type == "customer")
        })
        .collect();
    let named: Vec<[&str; 6]> = entries
        .iter()
        .map(|entry| {
            let (id, user) = (entry.entity_id.as_str(), entry.user.as_str());
            [&entry.description, id, user, &entry.branch_id, &entry.module, &entry.timestamp]
        })
        .collect();
    let time = "2026-11-24T09:00:00.123456Z";
    assert_eq!(named[0], ["customer 42 updated", "42", "thida", "YGN", "crm", time]);
    assert_eq!(named[1], ["customer 42 updated", "42", "erp", "", "crm", time]);
    assert_eq!(entries[0].new_values["limit"], 900);
    assert_eq!(
        (&entries[1].new_values["limit"], &entries[1].new_values["photo"]["bytes"]),
        (&900.into(), &100_000.into())
    );
    assert_eq!(entries[0].metadata["database_user"], "erp");
}

#[test]
fn a_change_waits_if_the_logger_is_closed() {
    let (_directory, logger) = opened();
    let memory = Memory::default();
    let collector = Collector::spawn(&logger, memory.clone()).unwrap();
    emptied(&collector, &memory);
    logger.close(TIMEOUT).unwrap();
    let change = Change::new(Moment::now(), "crm", "customer", Operation::Update);
    memory.store(Uuid::from_u128(1), Content::Change(Box::new(change)));
    assert!(collector.wait_until(TIMEOUT, |progress| !progress.error.is_empty() && progress.failures > 1));
    assert!(collector.progress().failed_at.is_some());
    assert_eq!(memory.tables().refused, []);
    assert_eq!(memory.tables().rows.len(), 1);
    assert!(collector.progress().oldest.is_some());
}
