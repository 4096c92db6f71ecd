//! The state of a record at a time, put together from the old and new values of the entries about it.
//!
//! [`RecordAt`] takes the entries in any order, since a collector may write an entry after others with later
//! times: for each field it keeps the entries that are nearest to the time. So it needs memory for the
//! fields, not for the entries, and threads can each have one and [merge](RecordAt::merge) them.

mod leaf;
mod slot;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use auditx_format::moment::Moment;
use auditx_format::row::{Field, Json, Row};

use crate::query::{Query, is_equal};
use crate::search::Found;

use leaf::{leaves, raw};
use slot::{Event, Slot, earlier, later};

/// The entry that a fact is known from. Ordered by time, then by trail and position.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct EntryRef {
    /// The time of the entry.
    pub at: Moment,
    /// The number of its trail, as given to [`RecordAt::add`].
    pub trail: usize,
    /// Its sequence number; `None` for a legacy line.
    pub seq: Option<u64>,
    offset: u64,
    /// Its user; empty if it has none.
    pub user: String,
}

/// Whether a record existed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Existence {
    /// It existed. `created` is the entry that created it; `None` if there is no such entry.
    Exists {
        /// The entry that created it.
        created: Option<EntryRef>,
    },
    /// It had been deleted.
    Deleted {
        /// The entry that deleted it.
        by: EntryRef,
        /// Whether all records of its type were removed at once.
        is_truncation: bool,
    },
    /// It was created later.
    NotYet {
        /// The entry that created it.
        created: EntryRef,
    },
    /// No entry says whether it existed.
    Unknown,
}

/// Since when a field has its value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Since {
    /// This entry set it.
    Set(EntryRef),
    /// It had the value before this entry, which names it as an old value; which entry set it is not known.
    Before(EntryRef),
}

/// A field and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnownField {
    /// The name of the field; for a nested field, the path with dots; empty if the values are not objects.
    pub field: String,
    /// Since when it has this value.
    pub since: Since,
    json: String,
}

impl KnownField {
    /// Returns the value. A masked value is the text that replaced it, and a long one its length and hash.
    #[must_use]
    pub fn value(&self) -> Json<'_> {
        Json::read(&self.json).unwrap_or(Json::Null)
    }
}

/// What the entries say about a record at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordState {
    /// Whether it existed.
    pub existence: Existence,
    /// The known fields by name; empty unless the record existed.
    pub fields: Vec<KnownField>,
    /// A partition that was truncated before and may have held the record, with its name.
    pub possible_end: Option<(EntryRef, String)>,
    /// The number of entries about the record without a valid time, which are not considered.
    pub undated: u64,
}

/// Puts the state of a record at a time together.
///
/// ```
/// use auditx_core::{AuditAction, AuditLogger, BusinessModule, Config};
/// use auditx_reader::{Moment, RecordAt, Search};
/// use serde_json::json;
/// # let directory = tempfile::tempdir()?;
/// # let log_dir = directory.path();
///
/// let logger = AuditLogger::open(Config::new(log_dir))?;
/// logger
///     .log_change("Limit raised", BusinessModule::Crm, AuditAction::Update, "customer", "CUST-220")
///     .old_values(json!({"limit": 500}))
///     .new_values(json!({"limit": 900}))
///     .record()?
///     .wait_durable()?;
///
/// let search = Search::new(log_dir).query(RecordAt::query("customer", "CUST-220"));
/// let (parts, _) = search.fold(|| RecordAt::new(Moment::now()), |record, found| record.add(found, 0))?;
/// let state = parts.into_iter().reduce(RecordAt::merge).expect("one part").state();
/// assert_eq!((state.fields[0].field.as_str(), state.fields[0].value().text().as_deref()),
///     ("limit", Some("900")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct RecordAt {
    at: Moment,
    fields: BTreeMap<String, Slot>,
    /// Entries that created the record, and entries that ended it, before and after the time.
    creations: Vec<Arc<EntryRef>>,
    deletions: Vec<Arc<EntryRef>>,
    truncations: Vec<Arc<EntryRef>>,
    /// The latest truncation of a partition up to the time.
    partition: Option<(Arc<EntryRef>, String)>,
    /// The first and the latest entry up to the time after which the record existed.
    first: Option<Arc<EntryRef>>,
    latest: Option<Arc<EntryRef>>,
    /// The first entry after the time that says something about the record itself.
    next: Option<Arc<EntryRef>>,
    undated: u64,
}

/// The values of an entry, by the paths of their fields.
type Leaves<'l> = BTreeMap<String, Json<'l>>;

impl RecordAt {
    /// Creates the state at this time without any entry. Entries at exactly this time count.
    #[must_use]
    pub fn new(at: Moment) -> Self {
        Self {
            at,
            fields: BTreeMap::new(),
            creations: Vec::new(),
            deletions: Vec::new(),
            truncations: Vec::new(),
            partition: None,
            first: None,
            latest: None,
            next: None,
            undated: 0,
        }
    }

    /// Matches the entries that [`RecordAt::add`] needs: those about the record, whatever their time, and
    /// truncations of its type.
    #[must_use]
    pub fn query(kind: &str, id: &str) -> Query {
        let truncations = Query::is(Field::EntityType, [kind])
            .and(Query::is(Field::EntityId, [""]))
            .and(Query::is(Field::Action, [DELETE]));
        Query::entity(kind, Some(id)).or(truncations)
    }

    /// Adds an entry that [`RecordAt::query`] matched. `trail` tells the trails of a family apart.
    ///
    /// An entry that records a failure changes nothing, and one without old and new values says nothing
    /// unless its action is `CREATE` or `DELETE`.
    pub fn add(&mut self, found: &Found<'_>, trail: usize) {
        let row = found.row;
        let is_truncation = row.text(Field::EntityId).is_empty();
        if !row.is_success() || is_truncation && !is_truncated(row) {
            return;
        }
        let Some(at) = row.moment() else {
            self.undated += u64::from(!is_truncation);
            return;
        };
        let user = row.text(Field::User).into_owned();
        let entry = Arc::new(EntryRef { at, trail, seq: row.seq(), offset: found.offset, user });
        if is_truncation {
            self.add_truncation(row, entry);
        } else {
            self.add_change(row, &entry);
        }
    }

    fn add_truncation(&mut self, row: &Row<'_>, entry: Arc<EntryRef>) {
        match row.get(Field::OldValues).and_then(|old| old.member("partition")?.text()) {
            None => self.truncations.push(entry),
            Some(name) if entry.at <= self.at => {
                let is_later = self.partition.as_ref().is_none_or(|(latest, _)| *latest < entry);
                if is_later {
                    self.partition = Some((entry, name.into_owned()));
                }
            }
            Some(_) => {}
        }
    }

    fn add_change(&mut self, row: &Row<'_>, entry: &Arc<EntryRef>) {
        // The Python package writes absent values as null.
        let values = |field| row.get(field).filter(|value| *value != Json::Null);
        let (old, new) = (values(Field::OldValues), values(Field::NewValues));
        let action = row.text(Field::Action);
        let is_creation = action.eq_ignore_ascii_case(CREATE);
        let is_deletion = action.eq_ignore_ascii_case(DELETE);
        if !is_creation && !is_deletion && old.is_none() && new.is_none() {
            return;
        }
        if is_creation {
            self.creations.push(Arc::clone(entry));
        }
        if is_deletion {
            self.deletions.push(Arc::clone(entry));
        }
        let (old, new) = (old.map(leaves).unwrap_or_default(), new.map(leaves).unwrap_or_default());
        if entry.at > self.at {
            earlier(&mut self.next, entry);
            self.add_next(&old, &new, entry);
        } else {
            earlier(&mut self.first, entry);
            if !is_deletion {
                later(&mut self.latest, entry);
                self.add_latest(&old, &new, entry);
            }
        }
    }

    /// Adds the fields of an entry up to the time.
    fn add_latest(&mut self, old: &Leaves<'_>, new: &Leaves<'_>, entry: &Arc<EntryRef>) {
        for (field, value) in new {
            let was_equal = old.get(field).is_some_and(|old| is_equal(*old, *value));
            let event = Event { entry: Arc::clone(entry), value: Some(raw(*value)) };
            self.slot(field).set(event, was_equal);
        }
        for field in old.keys().filter(|field| !new.contains_key(*field)) {
            self.slot(field).set(Event { entry: Arc::clone(entry), value: None }, false);
        }
    }

    /// Adds the fields of an entry after the time: its old values may be those at the time.
    fn add_next(&mut self, old: &Leaves<'_>, new: &Leaves<'_>, entry: &Arc<EntryRef>) {
        for (field, value) in old {
            self.slot(field).set_next(Event { entry: Arc::clone(entry), value: Some(raw(*value)) });
        }
        for field in new.keys().filter(|field| !old.contains_key(*field)) {
            self.slot(field).set_next(Event { entry: Arc::clone(entry), value: None });
        }
    }

    fn slot(&mut self, field: &str) -> &mut Slot {
        self.fields.entry(field.to_owned()).or_default()
    }

    /// Adds the entries of another part of the same search.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        for (field, slot) in other.fields {
            self.fields.entry(field).or_default().merge(slot);
        }
        self.creations.extend(other.creations);
        self.deletions.extend(other.deletions);
        self.truncations.extend(other.truncations);
        self.partition = self.partition.max(other.partition);
        other.first.iter().for_each(|entry| earlier(&mut self.first, entry));
        other.latest.iter().for_each(|entry| later(&mut self.latest, entry));
        other.next.iter().for_each(|entry| earlier(&mut self.next, entry));
        self.undated += other.undated;
        self
    }

    /// Returns what the entries say.
    #[must_use]
    pub fn state(&self) -> RecordState {
        let last_end = self.ends().map(|(entry, _)| entry).max();
        let existence = self.existence(last_end);
        let is_there = matches!(existence, Existence::Exists { .. });
        let fields = if is_there { self.known_fields(last_end) } else { Vec::new() };
        let is_later = |entry: &Arc<EntryRef>| Some(entry) > last_end && Some(entry) > self.latest.as_ref();
        let partition = self.partition.as_ref().filter(|(entry, _)| is_there && is_later(entry));
        let possible_end = partition.map(|(entry, name)| (EntryRef::clone(entry), name.clone()));
        RecordState { existence, fields, possible_end, undated: self.undated }
    }

    /// Returns the entries up to the time that ended the record, and whether they are truncations.
    fn ends(&self) -> impl Iterator<Item = (&Arc<EntryRef>, bool)> {
        let deletions = self.deletions.iter().map(|entry| (entry, false));
        let truncations = self.truncations.iter().map(|entry| (entry, true));
        deletions.chain(truncations).filter(|(entry, _)| entry.at <= self.at)
    }

    fn existence(&self, last_end: Option<&Arc<EntryRef>>) -> Existence {
        let own = |entry: &Arc<EntryRef>| EntryRef::clone(entry);
        if self.latest.is_some() && self.latest.as_ref() > last_end {
            let is_of_this_life = |entry: &&Arc<EntryRef>| entry.at <= self.at && Some(*entry) > last_end;
            return Existence::Exists {
                created: self.creations.iter().filter(is_of_this_life).min().map(own),
            };
        }
        // A truncation says nothing about a record that no entry named before. Of several ends without an
        // entry between them, the first one ended the record.
        let is_end = |(entry, _): &(&Arc<EntryRef>, bool)| {
            Some(*entry) > self.latest.as_ref() && self.first.as_ref().is_some_and(|first| first <= *entry)
        };
        match (self.ends().filter(is_end).min(), &self.next) {
            (Some((by, is_truncation)), _) => Existence::Deleted { by: own(by), is_truncation },
            (None, Some(next)) if self.creations.contains(next) => Existence::NotYet { created: own(next) },
            (None, Some(_)) => Existence::Exists { created: None },
            (None, None) => Existence::Unknown,
        }
    }

    /// Returns the fields of the life of the record that began after `last_end`.
    fn known_fields(&self, last_end: Option<&Arc<EntryRef>>) -> Vec<KnownField> {
        let boundaries = self.creations.iter().chain(&self.deletions).chain(&self.truncations);
        let boundary = boundaries.filter(|entry| entry.at > self.at).min();
        let is_alive = |entry: &Arc<EntryRef>| Some(entry) > last_end;
        let latest = |slot: &Slot| slot.latest().filter(|event| is_alive(&event.entry)).cloned();
        let mut known = Vec::new();
        for (field, slot) in &self.fields {
            let relatives = || self.relatives(field).filter_map(&latest);
            let found = match latest(slot) {
                Some(event) if relatives().any(|other| other.entry > event.entry) => None,
                Some(_) => slot.value_since(is_alive),
                None if relatives().next().is_some() => None,
                None => slot.value_before(boundary),
            };
            known.extend(found.map(|(json, since)| KnownField { field: field.clone(), since, json }));
        }
        known
    }

    /// Returns the fields that this one contains, and those that contain it: only one of them has a value.
    fn relatives<'s>(&'s self, field: &str) -> impl Iterator<Item = &'s Slot> {
        let ends = field.match_indices('.').map(|(at, _)| at).collect::<Vec<_>>();
        let outer = ends.into_iter().filter_map(|at| self.fields.get(&field[..at])).collect::<Vec<_>>();
        let prefix = format!("{field}.");
        let range = self.fields.range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded));
        let inner = range.take_while(|(name, _)| name.starts_with(&prefix)).map(|(_, slot)| slot);
        outer.into_iter().chain(inner.collect::<Vec<_>>())
    }
}

const CREATE: &str = "CREATE";
const DELETE: &str = "DELETE";

/// Whether a captured entry says that all rows of a table or partition were removed.
fn is_truncated(row: &Row<'_>) -> bool {
    let metadata = row.get(Field::Metadata);
    metadata.and_then(|metadata| metadata.member("truncated")) == Some(Json::Bool(true))
}

#[cfg(test)]
mod tests;
