//! Counts entries in groups.
//!
//! Each thread counts in a [`Tallies`] of its own, in memory. Groups beyond [`MEMORY`] go to a temporary file
//! as sorted runs and are added up when the runs are merged. So memory grows neither with the number of
//! entries nor with the number of groups, and every count is exact.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::ControlFlow;
use std::str::FromStr;
use std::time::Duration;

use auditx_reader::{Field, Json, Moment, Row, Zone};

use super::record;
use super::sum::Sum;
use crate::failure::Failure;
use crate::fields::FieldPath;
use crate::spill::{self, Runs};

/// Memory for the groups of all threads together.
const MEMORY: usize = 16 << 20;

/// Memory of a group besides its key, in a hash table that is between half full and full.
const OVERHEAD: usize = 2 * (size_of::<(Box<[u8]>, Tally)>() + 1) + 16;

/// Memory of a sum: a tree node holds up to 11.
const SUM: usize = 11 * (size_of::<Sum>() + size_of::<String>());

/// What entries are grouped by.
#[derive(Debug, Clone)]
pub(crate) enum GroupBy {
    /// The name of the trail; absent if there is only one.
    Trail,
    Field(FieldPath),
}

impl GroupBy {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Trail => "trail",
            Self::Field(path) => path.name(),
        }
    }
}

impl FromStr for GroupBy {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if name.eq_ignore_ascii_case("trail") { Ok(Self::Trail) } else { name.parse().map(Self::Field) }
    }
}

/// How entries are grouped, and which field is summed.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) by: Vec<GroupBy>,
    pub(super) bucket: Option<Duration>,
    pub(super) sum: Option<FieldPath>,
    /// The zone in which days begin at midnight.
    pub(super) zone: Zone,
}

/// The numbers of one group.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Tally {
    pub(super) count: u64,
    pub(super) failed: u64,
    /// By currency.
    pub(super) sums: BTreeMap<String, Sum>,
    /// Entries whose value could not be added: it is not a number, or has too many digits.
    pub(super) not_summed: u64,
}

/// One group: the start of its time span with `--bucket`, and the value of each field; `None` if the field is
/// absent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    pub(super) bucket: Option<Moment>,
    pub(super) values: Vec<Option<String>>,
}

/// The groups that one thread counted.
#[derive(Debug)]
pub(super) struct Tallies {
    groups: HashMap<Box<[u8]>, Tally>,
    /// The key of the current row, reused so that a known group costs no allocation.
    key: Vec<u8>,
    bytes: usize,
    budget: usize,
    runs: Runs,
    failure: Option<io::Error>,
}

impl Tallies {
    /// Creates the tallies of one of `threads` threads.
    pub(super) fn new(threads: usize) -> Self {
        Self::within(MEMORY / threads.max(1))
    }

    fn within(budget: usize) -> Self {
        let (groups, runs) = (HashMap::new(), Runs::default());
        Self { groups, key: Vec::new(), bytes: 0, budget, runs, failure: None }
    }

    /// Counts an entry. `trail` is the name of its trail, if there are several.
    pub(super) fn add(&mut self, plan: &Plan, trail: Option<&str>, row: &Row<'_>) {
        if self.failure.is_some() {
            return;
        }
        record::key(plan, trail, row, &mut self.key);
        if let Some(tally) = self.groups.get_mut(&*self.key) {
            let sums = tally.sums.len();
            tally.add(plan, row);
            self.bytes += if tally.sums.len() > sums { SUM } else { 0 };
            return;
        }
        let mut tally = Tally::default();
        tally.add(plan, row);
        self.bytes += self.key.len() + OVERHEAD + if tally.sums.is_empty() { 0 } else { SUM };
        self.groups.insert(self.key.as_slice().into(), tally);
        if self.bytes > self.budget {
            self.failure = self.spill().err();
        }
    }

    fn spill(&mut self) -> io::Result<()> {
        let mut groups: Vec<(Box<[u8]>, Tally)> = std::mem::take(&mut self.groups).into_iter().collect();
        self.bytes = 0;
        groups.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        self.runs.add_made(groups.iter().map(|(key, tally)| (&**key, tally)), record::push_tally)
    }

    /// Visits the groups of all threads, each group once.
    pub(super) fn each(mut parts: Vec<Self>, mut visit: impl FnMut(&[u8], &Tally)) -> Result<(), Failure> {
        let has_runs = parts.iter().any(|part| !part.runs.is_empty());
        for part in &mut parts {
            // A thread whose file failed has lost groups, even if no other thread needed a file.
            let spilled = if has_runs { part.spill() } else { Ok(()) };
            if let Some(error) = part.failure.take().or(spilled.err()) {
                return Err(spill::failure(&error));
            }
        }
        if !has_runs {
            let mut parts = parts.into_iter().map(|part| part.groups);
            let mut all = parts.next().unwrap_or_default();
            for (key, tally) in parts.flatten() {
                all.entry(key).or_default().merge(tally);
            }
            all.iter().for_each(|(key, tally)| visit(key, tally));
            return Ok(());
        }
        let runs: Vec<Runs> = parts.into_iter().map(|part| part.runs).collect();
        let mut last: Option<(Vec<u8>, Tally)> = None;
        spill::merge(&runs, |key, tally| {
            let tally = record::tally(tally);
            match &mut last {
                Some((before, sum)) if before == key => sum.merge(tally),
                last => {
                    if let Some((key, tally)) = last.replace((key.to_vec(), tally)) {
                        visit(&key, &tally);
                    }
                }
            }
            ControlFlow::Continue(())
        })
        .map_err(|error| spill::failure(&error))?;
        last.iter().for_each(|(key, tally)| visit(key, tally));
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(by: &[&str]) -> Plan {
        let by = by.iter().map(|name| name.parse().unwrap()).collect();
        Plan { by, bucket: None, sum: Some("amount".parse().unwrap()), zone: Zone::UTC }
    }

    fn merged(plan: &Plan, parts: Vec<Tallies>) -> Vec<(Group, Tally)> {
        let mut groups = Vec::new();
        Tallies::each(parts, |key, tally| groups.push((record::group(plan, key), tally.clone()))).unwrap();
        groups
    }

    #[test]
    fn groups_that_do_not_fit_in_memory_are_counted_exactly() {
        let plan = plan(&["user"]);
        let count = |budget: usize| {
            let mut parts = vec![Tallies::within(budget), Tallies::within(budget)];
            for number in 0..20_000_usize {
                let (user, amount) = (number * 7_919 % 1_237, number % 10);
                let line = format!(
                    "{{\"seq\":{number},\"user\":\"u{user}\",\"amount\":0.{amount},\
                     \"currency\":\"MMK\",\"success\":{}}}",
                    number % 3 == 0
                );
                parts[number % 2].add(&plan, None, &Row::read_text(&line).unwrap());
            }
            let has_runs = parts.iter().any(|part| !part.runs.is_empty());
            let mut groups = merged(&plan, parts);
            groups.sort_by(|(one, _), (other, _)| one.cmp(other));
            (groups, has_runs)
        };
        let (in_memory, has_runs) = count(MEMORY);
        assert!(!has_runs && in_memory.len() == 1_237);
        let (spilled, has_runs) = count(300_000);
        assert!(has_runs);
        assert_eq!(spilled.len(), in_memory.len());
        for ((group, tally), (expected, all)) in spilled.iter().zip(&in_memory) {
            assert_eq!((group, tally.count, tally.failed), (expected, all.count, all.failed));
            assert_eq!(tally.sums["MMK"].to_string(), all.sums["MMK"].to_string());
        }
    }

    #[test]
    fn a_failed_temporary_file_is_an_error() {
        let plan = plan(&["user"]);
        let row = Row::read_text(r#"{"seq":1,"user":"a","success":true}"#).unwrap();
        let mut parts = vec![Tallies::new(2), Tallies::new(2)];
        parts[1].failure = Some(io::ErrorKind::StorageFull.into());
        parts.iter_mut().for_each(|part| part.add(&plan, None, &row));
        let failure = Tallies::each(parts, |_, _| panic!("no group must be visited")).unwrap_err();
        assert!(failure.to_string().contains("TMPDIR"), "{failure}");
    }

    #[test]
    fn the_counts_of_all_threads_are_added() {
        let plan = plan(&["user", "module"]);
        let mut parts = vec![Tallies::new(2), Tallies::new(2)];
        for (part, line) in [
            (0, r#"{"seq":1,"user":"a","module":"b","amount":0.1,"currency":"MMK","success":true}"#),
            (0, r#"{"seq":2,"user":"ab","success":false}"#),
            (1, r#"{"seq":3,"user":"\u0061","module":"b","amount":0.2,"currency":"MMK","success":false}"#),
            (1, r#"{"seq":4,"user":"a","module":"b","amount":5,"currency":"USD","success":true}"#),
            (1, r#"{"seq":5,"user":"a","module":"b","amount":1e999,"currency":"USD","success":true}"#),
        ] {
            parts[part].add(&plan, None, &Row::read_text(line).unwrap());
        }
        let mut groups = merged(&plan, parts);
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
