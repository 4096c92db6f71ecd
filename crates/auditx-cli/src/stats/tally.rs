//! Counting entries in groups.
//!
//! Comes in: rows, on several threads, each with a [`Tallies`] of its own. Goes out: how many there are of each group, and what
//! they amount to. Memory grows with the number of groups, not with that of entries.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use auditx_reader::{Field, Json, Moment, Row, Zone};

use super::sum::Sum;
use crate::fields::FieldPath;

/// How entries are grouped, and what is added up.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) by: Vec<FieldPath>,
    pub(super) bucket: Option<Duration>,
    pub(super) sum: Option<FieldPath>,
    /// Where days begin.
    pub(super) zone: Zone,
}

/// What is known of one group.
#[derive(Debug, Default, Clone)]
pub(super) struct Tally {
    pub(super) count: u64,
    pub(super) failed: u64,
    /// By currency.
    pub(super) sums: BTreeMap<String, Sum>,
    /// Entries whose number could not be added: it is none, or longer than any amount.
    pub(super) not_summed: u64,
}

/// One group: when it began where there are spans of time, and the value of each field; none where entries lack it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    pub(super) bucket: Option<Moment>,
    pub(super) values: Vec<Option<String>>,
}

/// The groups that one thread met.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    groups: HashMap<Box<[u8]>, (Group, Tally)>,
    /// The key of the row at hand: bytes, so that a group met before costs no allocation.
    key: Vec<u8>,
}

impl Tallies {
    pub(super) fn add(&mut self, plan: &Plan, row: &Row<'_>) {
        let bucket = plan.bucket.map(|length| bucket(row, length, &plan.zone));
        self.key.clear();
        if let Some(at) = bucket {
            self.key.extend_from_slice(&at.map_or(i64::MIN, Moment::micros).to_le_bytes());
        }
        for path in &plan.by {
            push(&mut self.key, path.of(row));
        }
        if !self.groups.contains_key(&*self.key) {
            let values = plan.by.iter().map(|path| path.of(row).map(words)).collect();
            let group = Group { bucket: bucket.flatten(), values };
            self.groups.insert(self.key.as_slice().into(), (group, Tally::default()));
        }
        if let Some((_, tally)) = self.groups.get_mut(&*self.key) {
            tally.add(plan, row);
        }
    }

    /// Those of all threads.
    pub(super) fn merged(parts: Vec<Self>) -> Vec<(Group, Tally)> {
        let mut parts = parts.into_iter().map(|part| part.groups);
        let mut all = parts.next().unwrap_or_default();
        for (key, (group, tally)) in parts.flatten() {
            all.entry(key).or_insert_with(|| (group, Tally::default())).1.merge(tally);
        }
        all.into_values().collect()
    }
}

impl Tally {
    fn add(&mut self, plan: &Plan, row: &Row<'_>) {
        self.count += 1;
        self.failed += u64::from(!row.is_success());
        let Some(value) = plan.sum.as_ref().and_then(|path| path.of(row)) else { return };
        let currency = row.text(Field::Currency);
        if !self.sums.contains_key(&*currency) {
            self.sums.insert(currency.clone().into_owned(), Sum::default());
        }
        let is_added = match (value, self.sums.get_mut(&*currency)) {
            (Json::Number(digits), Some(sum)) => sum.add(digits),
            _ => false,
        };
        self.not_summed += u64::from(!is_added);
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.failed += other.failed;
        self.not_summed += other.not_summed;
        for (currency, sum) in other.sums {
            self.sums.entry(currency).or_default().merge(&sum);
        }
    }
}

fn bucket(row: &Row<'_>, length: Duration, zone: &Zone) -> Option<Moment> {
    Moment::parse(&row.text(Field::Timestamp)).map(|at| zone.bucket(at, length))
}

/// A value so that no two values together look like two others.
fn push(key: &mut Vec<u8>, value: Option<Json<'_>>) {
    let Some(value) = value else {
        key.push(0);
        return;
    };
    key.push(1);
    let begin = key.len();
    key.extend_from_slice(&[0; 4]);
    match value.text() {
        Some(text) => key.extend_from_slice(text.as_bytes()),
        None => key.extend_from_slice(words(value).as_bytes()),
    }
    // A line is far shorter than 4 GiB.
    let len = u32::try_from(key.len() - begin - 4).unwrap_or(u32::MAX);
    key[begin..begin + 4].copy_from_slice(&len.to_le_bytes());
}

fn words(value: Json<'_>) -> String {
    match (value.text(), value) {
        (Some(text), _) => text.into_owned(),
        (None, Json::Object(raw) | Json::Array(raw)) => raw.to_owned(),
        (None, _) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(by: &[&str]) -> Plan {
        let by = by.iter().map(|name| name.parse().unwrap()).collect();
        Plan { by, bucket: None, sum: Some("amount".parse().unwrap()), zone: Zone::UTC }
    }

    #[test]
    fn entries_are_counted_in_their_groups_by_every_thread() {
        let plan = plan(&["user", "module"]);
        let mut parts = vec![Tallies::default(), Tallies::default()];
        for (part, line) in [
            (0, r#"{"seq":1,"user":"a","module":"b","amount":0.1,"currency":"MMK","success":true}"#),
            (0, r#"{"seq":2,"user":"ab","success":false}"#),
            (1, r#"{"seq":3,"user":"\u0061","module":"b","amount":0.2,"currency":"MMK","success":false}"#),
            (1, r#"{"seq":4,"user":"a","module":"b","amount":5,"currency":"USD","success":true}"#),
            (1, r#"{"seq":5,"user":"a","module":"b","amount":1e999,"currency":"USD","success":true}"#),
        ] {
            parts[part].add(&plan, &Row::read_text(line).unwrap());
        }
        let mut groups = Tallies::merged(parts);
        groups.sort_by(|(one, _), (other, _)| one.cmp(other));
        let [(first, a), (second, ab)] = &groups[..] else { panic!("{groups:?}") };
        assert_eq!(first.values, [Some("a".to_owned()), Some("b".to_owned())]);
        assert_eq!((a.count, a.failed, a.not_summed), (4, 1, 1));
        let sums: Vec<String> = a.sums.iter().map(|(currency, sum)| format!("{sum} {currency}")).collect();
        assert_eq!(sums, ["0.3 MMK", "5 USD"]);
        assert_eq!(second.values, [Some("ab".to_owned()), None]);
        assert_eq!((ab.count, ab.failed, ab.sums.len()), (1, 1, 0));
    }
}
