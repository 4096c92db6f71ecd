//! The tables whose changes are read from the log: how a row becomes a change.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use auditx_capture::{Change, Operation};
use auditx_core::REDACTED;
use auditx_reader::Moment;
use serde_json::{Map, Value};

use crate::column_value::Shape;
use crate::pgoutput::{Cell, Old, Relation};

/// The types up to here are the same in each database.
pub(crate) const LAST_BUILT_IN: u32 = 9_999;

/// The settings of a table.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) entity_type: String,
    pub(crate) module: String,
    pub(crate) key: Vec<String>,
    pub(crate) mask: Vec<String>,
    pub(crate) exclude: Vec<String>,
    /// The present names of the columns above, in this order; `None` if one was dropped.
    pub(crate) renamed: Vec<Option<String>>,
    /// The present columns of the table.
    pub(crate) present: Vec<String>,
}

impl Settings {
    /// The settings of a table that has none: nothing of its rows is known to be harmless.
    fn of_unknown(relation: &Relation) -> Self {
        Self {
            entity_type: match relation.schema.as_str() {
                "public" => relation.name.clone(),
                schema => format!("{schema}.{}", relation.name),
            },
            module: "database".to_owned(),
            mask: relation.columns.iter().map(|column| column.name.clone()).collect(),
            ..Self::default()
        }
    }

    /// Returns the names that columns had when capture was enabled, each with the present one.
    fn names<'a>(
        &'a self,
        stored: &'a [String],
        skip: usize,
    ) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        let renamed = self.renamed.iter().skip(skip).map(Option::as_deref).chain(std::iter::repeat(None));
        stored.iter().map(String::as_str).zip(renamed)
    }
}

/// A table as it was when its next changes were made.
#[derive(Debug)]
pub(crate) struct LoggedTable {
    pub(crate) entity_type: Arc<str>,
    module: String,
    columns: Vec<Column>,
    /// Which columns are the key.
    key: Vec<usize>,
}

#[derive(Debug)]
struct Column {
    name: String,
    shape: Shape,
    is_masked: bool,
    is_excluded: bool,
    /// Whether it is part of the replica identity.
    is_identity: bool,
}

/// When and in which context changes are made.
#[derive(Debug, Clone)]
pub(crate) struct Circumstances {
    pub(crate) at: Moment,
    pub(crate) context: BTreeMap<String, String>,
}

impl Default for Circumstances {
    fn default() -> Self {
        Self { at: Moment::EPOCH, context: BTreeMap::new() }
    }
}

/// What happens to a row.
pub(crate) enum RowChange<'a> {
    Insert(Vec<Cell<'a>>),
    Update(Option<Old<'a>>, Vec<Cell<'a>>),
    Delete(Old<'a>),
}

impl LoggedTable {
    /// Takes the columns from the log and the settings from the database, where columns may have been renamed
    /// since. `shapes` has those of types that are not built in.
    pub(crate) fn new(relation: &Relation, settings: Option<Settings>, shapes: &HashMap<u32, Shape>) -> Self {
        let settings = settings.unwrap_or_else(|| Settings::of_unknown(relation));
        let (mask_at, exclude_at) = (settings.key.len(), settings.key.len() + settings.mask.len());
        let names = |stored, skip| -> Vec<&str> {
            settings.names(stored, skip).flat_map(|(stored, now)| [Some(stored), now]).flatten().collect()
        };
        let (masked, excluded) = (names(&settings.mask, mask_at), names(&settings.exclude, exclude_at));
        let has_secrets = !masked.is_empty() || !excluded.is_empty();
        let column = |column: &crate::pgoutput::Column| {
            let name = column.name.as_str();
            let is_excluded = excluded.contains(&name);
            // A column that does not exist any more under this name may be one that is masked now.
            let is_gone = has_secrets && !settings.present.iter().any(|present| present == name);
            Column {
                name: column.name.clone(),
                shape: shapes.get(&column.type_oid).cloned().unwrap_or_else(|| Shape::of(column.type_oid)),
                is_masked: masked.contains(&name) || (is_gone && !is_excluded),
                is_excluded,
                is_identity: column.is_key,
            }
        };
        let position = |name: &str| relation.columns.iter().position(|column| column.name == name);
        let key = settings.names(&settings.key, 0);
        let key = key.filter_map(|(stored, now)| now.and_then(position).or_else(|| position(stored)));
        Self {
            key: key.collect(),
            columns: relation.columns.iter().map(column).collect(),
            entity_type: settings.entity_type.as_str().into(),
            module: settings.module,
        }
    }

    /// Returns the change that all rows are removed.
    pub(crate) fn truncated(&self, circumstances: &Circumstances) -> Change {
        self.change(Operation::Truncate, circumstances)
    }

    /// Returns the change of a row; `None` if no column differs that is noted.
    pub(crate) fn changed(&self, row: RowChange<'_>, circumstances: &Circumstances) -> Option<Change> {
        let mut change;
        match row {
            RowChange::Insert(new) => {
                change = self.change(Operation::Insert, circumstances);
                change.key = self.key_of(&new);
                change.new = self.noted(&new, |_| true);
            }
            RowChange::Delete(old) => {
                let old = self.known(old);
                change = self.change(Operation::Delete, circumstances);
                change.key = self.key_of(&old);
                change.old = self.noted(&old, |_| true);
            }
            RowChange::Update(old, new) => {
                let old = old.map(|old| self.known(old)).unwrap_or_default();
                change = self.change(Operation::Update, circumstances);
                // If the key changes, that is a change of the row with the old one.
                let identifies = |cells: &[Cell<'_>]| {
                    self.key.iter().all(|&at| !matches!(cells.get(at), None | Some(Cell::Unchanged)))
                };
                change.key = self.key_of(if identifies(&old) { &old } else { &new });
                let differs = |at: usize| self.differs(at, old.get(at), new.get(at));
                change.old = self.noted(&old, differs);
                change.new = self.noted(&new, differs);
                if change.old.is_empty() && change.new.is_empty() {
                    return None;
                }
            }
        }
        Some(change)
    }

    fn change(&self, operation: Operation, circumstances: &Circumstances) -> Change {
        let mut change = Change::new(circumstances.at, &*self.module, &*self.entity_type, operation);
        change.context.clone_from(&circumstances.context);
        change
    }

    /// Returns the old row without the columns that are null only because they are not part of the identity.
    fn known<'a>(&self, old: Old<'a>) -> Vec<Cell<'a>> {
        let mut cells = old.cells;
        if old.is_key_only {
            for (cell, column) in cells.iter_mut().zip(&self.columns) {
                if !column.is_identity {
                    *cell = Cell::Unchanged;
                }
            }
        }
        cells
    }

    /// Whether a column differs, as far as the log says it.
    fn differs(&self, at: usize, old: Option<&Cell<'_>>, new: Option<&Cell<'_>>) -> bool {
        match (old, new) {
            (_, None | Some(Cell::Unchanged)) => false,
            (Some(Cell::Text(old)), Some(Cell::Text(new))) => {
                old != new && self.columns.get(at).is_none_or(|column| column.shape.differs(old, new))
            }
            (old, new) => old != new,
        }
    }

    fn noted(&self, cells: &[Cell<'_>], is_noted: impl Fn(usize) -> bool) -> Map<String, Value> {
        let mut noted = Map::new();
        for (at, (column, cell)) in self.columns.iter().zip(cells).enumerate() {
            if column.is_excluded || !is_noted(at) {
                continue;
            }
            let value = match cell {
                Cell::Unchanged => continue,
                _ if column.is_masked => REDACTED.into(),
                Cell::Null => Value::Null,
                Cell::Text(text) => column.shape.value(text),
            };
            noted.insert(column.name.clone(), value);
        }
        noted
    }

    fn key_of(&self, cells: &[Cell<'_>]) -> String {
        let part = |&at: &usize| match (cells.get(at), self.columns.get(at)) {
            (Some(Cell::Text(text)), Some(column)) if !column.is_masked => column.shape.key_text(text),
            _ => String::new(),
        };
        self.key.iter().map(part).collect::<Vec<_>>().join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn relation(columns: &[&str]) -> Relation {
        let column = |&name: &&str| crate::pgoutput::Column {
            name: name.to_owned(),
            type_oid: if name == "id" { 23 } else { 1700 },
            is_key: name == "id",
        };
        let columns = columns.iter().map(column).collect();
        Relation { oid: 1, schema: "public".to_owned(), name: "customer".to_owned(), columns }
    }

    fn settings(mask: &[&str], exclude: &[&str], renamed: &[&str], present: &[&str]) -> Settings {
        Settings {
            entity_type: "customer".to_owned(),
            module: "crm".to_owned(),
            key: names(&["id"]),
            mask: names(mask),
            exclude: names(exclude),
            renamed: renamed.iter().map(|&name| Some(name.to_owned())).collect(),
            present: names(present),
        }
    }

    fn cells<'a>(texts: &[&'a str]) -> Vec<Cell<'a>> {
        texts.iter().map(|&text| if text == "?" { Cell::Unchanged } else { Cell::Text(text) }).collect()
    }

    fn update(table: &LoggedTable, old: &[&str], is_key_only: bool, new: &[&str]) -> Option<Change> {
        let old = (!old.is_empty()).then(|| Old { is_key_only, cells: cells(old) });
        table.changed(RowChange::Update(old, cells(new)), &Circumstances::default())
    }

    #[test]
    fn only_columns_that_differ_are_noted() {
        let columns = ["id", "a", "b"];
        let settings = settings(&[], &["b"], &["id", "b"], &columns);
        let table = LoggedTable::new(&relation(&columns), Some(settings), &HashMap::new());
        let change = update(&table, &["1", "2", "3"], false, &["4", "5", "6"]).unwrap();
        assert_eq!((change.key.as_str(), change.module.as_str()), ("1", "crm"));
        assert_eq!(json!([change.old, change.new]), json!([{ "id": 1, "a": 2 }, { "id": 4, "a": 5 }]));
        for same in [["1", "2.00", "9"], ["1", "?", "3"]] {
            assert!(update(&table, &["1", "2", "3"], false, &same).is_none(), "{same:?}");
        }
    }

    #[test]
    fn without_the_old_row_all_columns_are_noted() {
        let columns = ["id", "a"];
        let table = LoggedTable::new(
            &relation(&columns),
            Some(settings(&[], &[], &["id"], &columns)),
            &HashMap::new(),
        );
        let change = update(&table, &[], false, &["1", "2"]).unwrap();
        assert_eq!(json!([change.key, change.old, change.new]), json!(["1", {}, { "id": 1, "a": 2 }]));
        let change = update(&table, &["7", "x"], true, &["1", "2"]).unwrap();
        assert_eq!(
            json!([change.key, change.old, change.new]),
            json!(["7", { "id": 7 }, { "id": 1, "a": 2 }])
        );
    }

    #[test]
    fn a_masked_column_stays_so_under_each_of_its_names() {
        // It was `pin`, is `code` now, and had another name in between.
        let renamed = settings(&["pin"], &[], &["id", "code"], &["id", "code", "a"]);
        let columns = ["id", "pin", "code", "between", "a"];
        let table = LoggedTable::new(&relation(&columns), Some(renamed), &HashMap::new());
        let insert = RowChange::Insert(cells(&["1", "2", "3", "4", "5"]));
        let new = table.changed(insert, &Circumstances::default()).unwrap().new;
        assert_eq!(
            json!(new),
            json!({ "id": 1, "pin": REDACTED, "code": REDACTED, "between": REDACTED, "a": 5 })
        );
    }

    #[test]
    fn a_table_without_settings_is_masked() {
        let table = LoggedTable::new(&relation(&["id", "a"]), None, &HashMap::new());
        let delete = RowChange::Delete(Old { is_key_only: false, cells: cells(&["1", "2"]) });
        let change = table.changed(delete, &Circumstances::default()).unwrap();
        assert_eq!(json!(change.old), json!({ "id": REDACTED, "a": REDACTED }));
        assert_eq!((change.table.as_str(), change.key.as_str()), ("customer", ""));
    }
}
